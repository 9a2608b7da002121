import { AgentError, isErrorCode } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { AskSocket } from '../../core/ports.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import { HELPER_ANSWER_BYTES_MAX, HelperLine } from '../../protocol/helper-line.ts';

/**
 * Asks root's helper for one thing.
 * @returns the data of its verb, unchecked
 * @throws AgentError what the helper answers: POLICY_DENIED, BUSY, …; HELPER_UNREACHABLE; INTERRUPTED
 */
export type AskHelper = (
  request: HelperRequest,
  options: { readonly signal: AbortSignal; readonly progress?: (text: string) => void },
) => Promise<Readonly<Record<string, unknown>>>;

/** The daemon's side of the helper's socket. */
export function helperClient(deps: {
  readonly askSocket: AskSocket;
  readonly places: Places;
}): AskHelper {
  return async (request, { signal, progress }) => {
    let last: HelperLine | undefined;
    await deps.askSocket(deps.places.helperSocket, JSON.stringify(request), {
      signal,
      limitBytes: HELPER_ANSWER_BYTES_MAX,
      onLine: (text) => {
        last = readLine(text) ?? last;
        if (last !== undefined && 'progress' in last) {
          progress?.(last.progress);
        }
      },
    });
    return answerOf(last);
  };
}

function readLine(text: string): HelperLine | undefined {
  try {
    return HelperLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // Cut off: the helper was killed.
  }
}

function answerOf(last: HelperLine | undefined): Readonly<Record<string, unknown>> {
  if (last !== undefined && 'data' in last) {
    return last.data;
  }
  if (last !== undefined && 'error' in last) {
    const {
      code,
      message,
      hint = 'See: journalctl -u "pipeops-agent-helper@*"',
      details,
    } = last.error;
    throw new AgentError(isErrorCode(code) ? code : 'INTERNAL', message, {
      hint,
      ...(details === undefined ? {} : { details }),
    });
  }
  throw new AgentError('HELPER_UNREACHABLE', 'The helper ended without an answer', {
    hint: 'See what it says: journalctl -u "pipeops-agent-helper@*"',
  });
}
