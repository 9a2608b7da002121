import type { AgentError, ErrorCode } from '../../core/errors.ts';
import { reasonPhrase } from '../../http1/reason-phrase.ts';
import type { Problem } from '../../protocol/local-status.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Statuses of errors that a route can throw; any other is a fault of ours. */
const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  COMMAND_INVALID: 400,
  POLICY_DENIED: 403,
  NOT_FOUND: 404,
  NOT_A_SERVER: 404,
  NOT_RUNNING: 409,
  TOO_MANY_REQUESTS: 429,
  KUBERNETES_API: 503,
  TIMEOUT: 503,
  BUSY: 503,
  DISK_FULL: 503,
  FILE_ACCESS: 503,
  SHUTTING_DOWN: 503,
};

export function statusOf({ code }: AgentError): number {
  return STATUS_OF[code] ?? 500;
}

/** What is refused, or has failed (RFC 9457). */
export interface Refused {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

export function problemBody({ status, code, message, hint }: Refused, requestId: string): Problem {
  return {
    type: 'about:blank',
    title: reasonPhrase(status),
    status,
    detail: message,
    code,
    ...(hint === undefined ? {} : { hint }),
    request_id: requestId,
    error: { code, message },
  };
}

/** Loopback is open to every user of this machine. @param tokenFile where the local token stands */
export function tokenNeeded(tokenFile: string): Refused {
  return {
    status: 401,
    code: 'LOCAL_TOKEN_REJECTED',
    message: `A local token is needed; it stands in ${tokenFile}`,
    hint: 'Send it as "Authorization: Bearer TOKEN", or ask over the socket, which needs none',
  };
}
