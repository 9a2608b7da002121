import { expectedError } from '../../core/errors.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import type { CommandContext } from './handler.ts';

/** A person needs a moment; each question starts a process. */
const PERSON_POLL_MS = 15_000;

/**
 * Asks root's helper, and where root wants to be asked, waits for that until the command's time is over.
 * @throws AgentError what the helper answers; APPROVAL_NEEDED when nobody has decided in time
 */
export async function askHelperAndPerson(
  context: CommandContext,
  request: HelperRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const { askHelper, clock, signal } = context;
  const progress = (text: string) => context.progress(text);
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await askHelper(request, { signal, progress });
    } catch (thrown) {
      const error = expectedError(thrown);
      if (error.code !== 'APPROVAL_NEEDED') {
        throw error;
      }
      if (isFirst) {
        context.progress(`${error.message}. ${error.hint ?? ''}`, error.details);
      }
      if (!(await clock.sleep(PERSON_POLL_MS, signal))) {
        throw error;
      }
    }
  }
}
