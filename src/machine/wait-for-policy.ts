import { AgentError, type ErrorCode, expectedError, isErrorCode } from '../core/errors.ts';
import { UNIT_NAME } from '../core/places.ts';
import { type Look, pollUntil } from '../core/waiting.ts';
import { isStartedOrStarting } from '../host/engine/systemctl.ts';
import type { Reason } from '../protocol/local-api.ts';
import { askPolicy } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';

/** A running daemon answers at once, a starting one within seconds. The last question may take 10 s more. */
export const POLICY_TIMEOUT_MS = 15_000;
const POLL_INTERVAL_MS = 250;

/** `soon`: the daemon is of an older version that reads the file by itself. */
export type PolicyTakenUp = 'now' | 'soon' | 'at its start';

/**
 * Makes the running daemon read the policy file that was just written, and waits until it has done so.
 * @throws AgentError DAEMON_UNREACHABLE when the daemon runs and does not answer in time; INTERRUPTED;
 *   POLICY_INVALID or FILE_ACCESS when the daemon cannot use the file
 */
export async function waitForPolicy(context: MachineContext): Promise<PolicyTakenUp> {
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: POLICY_TIMEOUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, () => look(context));
  switch (end.kind) {
    case 'found':
      return end.found;
    case 'late':
      throw new AgentError(
        end.soFar.code,
        `The policy is written, but the agent does not say that it is in force: ${end.soFar.message}`,
        {
          hint: 'See how it is: systemctl status pipeops-agent. Then run the same again',
          cause: end.soFar,
        },
      );
    case 'aborted':
      throw new AgentError('INTERRUPTED', 'Interrupted while waiting for the agent', {
        hint: 'The policy is written, and the agent takes it up by itself within seconds',
      });
  }
}

async function look(context: MachineContext): Promise<Look<PolicyTakenUp, AgentError>> {
  const answer = await askPolicy(context).catch(expectedError);
  if (answer === undefined) {
    return { found: 'soon' };
  }
  if (!(answer instanceof AgentError)) {
    if (answer.problem !== null) {
      throw refusedFile(answer.problem);
    }
    return { found: 'now' };
  }
  // Asked only now: a daemon that starts after the first question has read the new file.
  if (!context.signal.aborted && !(await isStartedOrStarting(context, UNIT_NAME))) {
    return { found: 'at its start' };
  }
  return { soFar: answer };
}

function refusedFile({ code, message, hint }: Reason): AgentError {
  const known: ErrorCode = isErrorCode(code) ? code : 'POLICY_INVALID';
  return new AgentError(
    known,
    `The policy is written, but the agent cannot use it and refuses everything: ${message}`,
    { hint: hint ?? 'See what it says of the file: journalctl -u pipeops-agent' },
  );
}
