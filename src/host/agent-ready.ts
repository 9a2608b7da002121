import { AgentError, type ErrorCode, isErrorCode } from '../core/errors.ts';
import type { Clock, Exec, Http } from '../core/ports.ts';
import { ReadyAnswer, type Reason } from '../protocol/local-api.ts';
import { UNIT_NAME } from './paths.ts';
import type { Step } from './steps.ts';
import { activeState, lastJournalLines } from './systemctl.ts';

/** Registration is tried again every few seconds; a control plane may be slow, not gone. */
const READY_TIMEOUT_MS = 120_000;
const POLL_INTERVAL_MS = 250;
const PROBE_TIMEOUT_MS = 10_000;
/** Waiting does not mend these. */
const FINAL_REASONS: readonly string[] = ['TOKEN_REJECTED', 'AGENT_REVOKED'];

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly http: Http;
}

/**
 * Waits until the daemon says that it is ready: registered, Kubernetes answers (on a worker: the
 * kubelet is healthy). Fails with the daemon's own reason.
 */
export function waitForAgent(deps: Deps, port: number, signal: AbortSignal): Step {
  return {
    id: 'agent-ready',
    title: 'Wait until the agent is ready',
    touches: [],
    isDone: async () => (await askReady(deps, port))?.ready === true,
    apply: async (update) => {
      const endsAt = deps.clock.monotonic() + READY_TIMEOUT_MS;
      for (;;) {
        const answer = await askReady(deps, port);
        if (answer?.ready === true) {
          return;
        }
        const reason = answer?.reasons[0];
        const final = reason !== undefined && FINAL_REASONS.includes(reason.code);
        if (final || deps.clock.monotonic() > endsAt) {
          throw await failure(deps, reason);
        }
        if ((await activeState(deps, UNIT_NAME)) === 'failed') {
          throw await failure(deps, undefined);
        }
        update(reason?.message ?? 'the agent starts');
        if (!(await deps.clock.sleep(POLL_INTERVAL_MS, signal))) {
          throw new AgentError('INTERRUPTED', 'Interrupted while waiting for the agent', {
            hint: 'It goes on by itself. See how it is: pipeops-agent status',
          });
        }
      }
    },
  };
}

async function askReady(deps: Pick<Deps, 'http'>, port: number): Promise<ReadyAnswer | undefined> {
  try {
    const response = await deps.http(`http://127.0.0.1:${port}/ready`, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    return ReadyAnswer.safeParse(await response.json()).data;
  } catch {
    return undefined; // Not listening yet, or somebody else: the answer is "not ready".
  }
}

async function failure(deps: Deps, reason: Reason | undefined): Promise<AgentError> {
  const lines = await lastJournalLines(deps, UNIT_NAME, 10);
  if (reason !== undefined) {
    const code: ErrorCode = isErrorCode(reason.code) ? reason.code : 'TIMEOUT';
    return new AgentError(code, `The agent runs, but is not ready: ${reason.message}`, {
      hint: reason.hint ?? 'It keeps trying. See how it is: pipeops-agent status',
      details: { last_lines: lines },
    });
  }
  return new AgentError('TOOL_FAILED', `The agent did not start: ${lines.at(-1) ?? ''}`, {
    hint: `Look at: journalctl -u ${UNIT_NAME}`,
    details: { last_lines: lines },
  });
}
