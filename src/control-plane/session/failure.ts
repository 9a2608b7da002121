import { AgentError, type ErrorCode } from '../../core/errors.ts';

/** What the session decides by after a failure, beside the code of the error. */
export type SessionFailure = (
  | {
      /** Nobody takes the connection. */
      readonly kind: 'nobody-there';
    }
  | {
      /** HTTP was answered, but not with what was asked for. */
      readonly kind: 'answered';
      readonly status: number;
    }
  | {
      /** A connection that worked ended without a word. */
      readonly kind: 'cut-off';
    }
  | { readonly kind: 'other' }
) & {
  /** The pause that the other side asked for. */
  readonly retryAfterMs?: number | undefined;
  /** The failure came from a gateway: the controller is asked next. */
  readonly atGateway?: true;
};

/** An error of the session with its failure. */
export class SessionError extends AgentError {
  readonly failure: SessionFailure;

  constructor(
    code: ErrorCode,
    message: string,
    failure: SessionFailure,
    options: { readonly hint: string; readonly cause?: unknown },
  ) {
    const { retryAfterMs } = failure;
    const details = {
      ...(failure.kind === 'answered' ? { status: failure.status } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
    super(code, message, Object.keys(details).length > 0 ? { ...options, details } : options);
    this.failure = failure;
  }
}

/** An error that carries no failure counts as `other`. */
export function failureOf(error: AgentError): SessionFailure {
  return error instanceof SessionError ? error.failure : { kind: 'other' };
}

export const LATER_HINT =
  'The agent tries again by itself; if it stays so, look at the control plane';
export const SILENT_HINT =
  'The agent connects again by itself; if it stays so, look at the network between and at the control plane';
export const BETWEEN_HINT =
  'Let what stands between let the agent through, or check the address of the control plane';

/** @param status 401 or 403 */
export function tokenRejected(status: number): SessionError {
  return new SessionError(
    'TOKEN_REJECTED',
    'The control plane does not accept the token',
    { kind: 'answered', status },
    { hint: 'Get a new token and run: pipeops-agent install --token-file FILE' },
  );
}
