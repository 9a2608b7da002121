import { expectedError } from '../../core/errors.ts';
import { requireAllowed } from '../../policy/decision.ts';
import type { HostVerb } from '../../protocol/files/policy.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import type { CommandContext } from './handler.ts';

/** A person needs a moment; each question starts a process. */
const PERSON_POLL_MS = 15_000;

/** What a command wants of the helper: what a person may have to approve. */
type WantedOfHelper = Exclude<HelperRequest, { verb: 'host_facts' }>;

/**
 * Asks root's helper, and where root wants to be asked, waits for that until the command's time is over.
 * The helper reads the file of this machine. What root says on another server is known here: the stricter counts.
 * @throws AgentError what the helper answers; POLICY_DENIED; APPROVAL_NEEDED when nobody has decided in time
 */
export async function askHelperAndPerson(
  context: CommandContext,
  use: { readonly type: string; readonly hostVerb: HostVerb },
  request: WantedOfHelper,
): Promise<Readonly<Record<string, unknown>>> {
  const { askHelper, clock, policy, signal } = context;
  const progress = (text: string) => context.progress(text);
  for (let isFirst = true; ; isFirst = false) {
    requireAllowed(policy.command(use));
    const wanted = policy.isAsked(use.hostVerb) ? { ...request, ask: true as const } : request;
    try {
      return await askHelper(wanted, { signal, progress });
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
