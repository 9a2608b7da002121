import { type ErrorCode, expectedError } from '../../core/errors.ts';
import { requireAllowed } from '../../policy/decision.ts';
import { outsideWindow } from '../../policy/windows.ts';
import type { HostVerb } from '../../protocol/files/policy.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import type { CommandContext } from './handler.ts';

/** A person needs a moment; each question starts a process. */
const PERSON_POLL_MS = 15_000;
/** Windows begin and end at whole minutes. */
const WINDOW_POLL_MS = 15_000;

/** What a command wants of the helper: what a person may have to approve. */
type WantedOfHelper = Exclude<
  HelperRequest,
  { verb: 'host_facts' | 'upgrade_outcome' | 'upgrade_k3s_state' | 'restart_k3s' }
>;

/** What passes by itself, or by a person. */
const WAITED_FOR: readonly ErrorCode[] = ['APPROVAL_NEEDED', 'OUTSIDE_WINDOW'];

interface Use {
  readonly type: string;
  readonly hostVerb: HostVerb;
}

/**
 * Asks root's helper. Where root wants to be asked, or has said when, it waits for that until the command's time is
 * over. The helper reads the file of this machine. What root says on another server is known here: the stricter
 * counts.
 * @throws AgentError what the helper answers; POLICY_DENIED; at the end of the time APPROVAL_NEEDED when nobody has
 *   decided, OUTSIDE_WINDOW
 */
export async function askHelperAndPerson(
  context: CommandContext,
  use: Use,
  request: WantedOfHelper,
): Promise<Readonly<Record<string, unknown>>> {
  let told: string | undefined;
  for (;;) {
    await whenWithinWindow(context, use);
    const { askHelper, clock, policy, signal } = context;
    const wanted = policy.isAsked(use.hostVerb) ? asking(request) : request;
    const progress = (text: string) => context.progress(text);
    try {
      return await askHelper(wanted, { signal, progress });
    } catch (thrown) {
      const error = expectedError(thrown);
      if (!WAITED_FOR.includes(error.code)) {
        throw error;
      }
      if (told !== error.message) {
        told = error.message;
        context.progress(`${error.message}. ${error.hint ?? ''}`, error.details);
      }
      if (!(await clock.sleep(PERSON_POLL_MS, signal))) {
        throw error;
      }
    }
  }
}

/** A person is asked once for all nodes. */
function asking(request: WantedOfHelper): WantedOfHelper {
  return request.verb === 'upgrade_k3s_next' ? request : { ...request, ask: true };
}

/** @throws AgentError POLICY_DENIED; OUTSIDE_WINDOW at the end of the command's time */
export async function whenWithinWindow(context: CommandContext, use: Use): Promise<void> {
  const { clock, policy, signal } = context;
  for (let isFirst = true; ; isFirst = false) {
    requireAllowed(policy.command(use));
    const ahead = policy.windowsAhead(use.hostVerb, clock.now());
    if (ahead === undefined) {
      return;
    }
    const error = outsideWindow(ahead, use.hostVerb);
    if (isFirst) {
      context.progress(`It waits: ${error.message}`);
    }
    if (!(await clock.sleep(WINDOW_POLL_MS, signal))) {
      throw error;
    }
  }
}
