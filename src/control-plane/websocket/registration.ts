import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { redactedStart } from '../../core/text/middle-cut.ts';
import { childSignal } from '../../core/waiting.ts';
import {
  type Envelope,
  ErrorPayload,
  RegisterSuccessPayload,
} from '../../protocol/session/messages.ts';
import { LATER_HINT, SessionError } from '../session/failure.ts';
import { bounded, PACE_BOUNDS } from '../session/pace.ts';

/** Longest wait for the answer to `register`, and again after each `register_in_progress`. */
export const REGISTER_TIMEOUT_MS = 30_000;
/** Longest wait in all, however many `register_in_progress` come. */
const REGISTER_TIMEOUT_MS_MAX = 120_000;
/** Characters of a foreign error text that are repeated. */
const FOREIGN_TEXT_MAX = 200;

/** The wait for the answer to one `register`. */
export interface RegistrationWait {
  /** @returns whether the message was part of this registration */
  offer(envelope: Envelope): boolean;
  /** @throws AgentError CONTROL_PLANE_ERROR with what the peer said; TIMEOUT; INTERRUPTED */
  answer(signal: AbortSignal): Promise<RegisterSuccessPayload>;
}

export function registrationWait(clock: Clock, requestId: string): RegistrationWait {
  const settled = Promise.withResolvers<RegisterSuccessPayload>();
  // It may be rejected before anybody waits for it; that must not end the process.
  settled.promise.catch(() => undefined);
  const latest = clock.monotonic() + REGISTER_TIMEOUT_MS_MAX;
  let deadline = clock.monotonic() + REGISTER_TIMEOUT_MS;
  return {
    offer: (envelope) => {
      const isMine = envelope.request_id === requestId;
      switch (envelope.type) {
        case 'register_in_progress':
          deadline = Math.min(latest, clock.monotonic() + REGISTER_TIMEOUT_MS);
          return true;
        case 'register_success': {
          if (!isMine) {
            return false;
          }
          const parsed = RegisterSuccessPayload.safeParse(envelope.payload);
          if (parsed.success) {
            settled.resolve(parsed.data);
          } else {
            const message = 'The control plane registered this agent without a cluster_id';
            settled.reject(new AgentError('CONTROL_PLANE_ERROR', message, { hint: LATER_HINT }));
          }
          return true;
        }
        case 'error':
          if (!isMine && envelope.request_id !== undefined) {
            return false;
          }
          settled.reject(
            errorMessage('The control plane refuses to register this agent', envelope),
          );
          return true;
        default:
          return false;
      }
    },
    answer: async (signal) => {
      const done = childSignal(signal);
      const expired = async (): Promise<never> => {
        while (!signal.aborted && clock.monotonic() < deadline) {
          await clock.sleep(deadline - clock.monotonic(), done.signal);
          if (done.signal.aborted) {
            throw new AgentError('INTERRUPTED', 'The registration was interrupted');
          }
        }
        throw new AgentError('TIMEOUT', 'The control plane did not answer the registration', {
          hint: LATER_HINT,
        });
      };
      try {
        return await Promise.race([settled.promise, expired()]);
      } finally {
        done.end();
      }
    },
  };
}

/** An `error` message as an AgentError, with the pause that it asks for. */
export function errorMessage(what: string, envelope: Envelope): AgentError {
  const parsed = ErrorPayload.safeParse(envelope.payload ?? {});
  const said = redactedStart(parsed.data?.error ?? '', FOREIGN_TEXT_MAX).trim();
  const pauseMs = bounded(PACE_BOUNDS.retryAfterMs, parsed.data?.retry_after_seconds);
  const message = said === '' ? what : `${what}: ${said}`;
  const failure = { kind: 'other', retryAfterMs: pauseMs } as const;
  return new SessionError('CONTROL_PLANE_ERROR', message, failure, { hint: LATER_HINT });
}

/** Whether the peer says that it has lost this agent. */
export function saysForgotten(envelope: Envelope): boolean {
  const said = envelope.payload?.['error'];
  return typeof said === 'string' && /not registered|cluster not found/i.test(said);
}
