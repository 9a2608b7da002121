/** Refusals in Kubernetes' own form, so that kubectl and controllers understand them. */
import { AgentError, type ErrorCode } from '../core/errors.ts';
import { STATUS_TYPE } from '../core/kinds.ts';
import type { HeaderList, ResponseHead } from '../http1/head.ts';
import { RETRY_AFTER_SECONDS } from './turns.ts';

const STATUS_BY_CODE: Readonly<Partial<Record<ErrorCode, readonly [number, string]>>> = {
  PROXY_REQUEST_INVALID: [400, 'BadRequest'],
  PROXY_HEAD_TOO_LARGE: [431, 'RequestHeaderFieldsTooLarge'],
  POLICY_DENIED: [403, 'Forbidden'],
  TOO_MANY_REQUESTS: [429, 'TooManyRequests'],
  NOT_FOUND: [404, 'NotFound'],
  KUBERNETES_API: [503, 'ServiceUnavailable'],
  APPLICATION_UNREACHABLE: [503, 'ServiceUnavailable'],
  SHUTTING_DOWN: [503, 'ServiceUnavailable'],
  TIMEOUT: [504, 'Timeout'],
};

interface StatusAnswer {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/** A `Status` object (kubernetes.io, API conventions, "Response Status Kind"). */
export function statusAnswer(error: AgentError): StatusAnswer {
  const [status, reason] = STATUS_BY_CODE[error.code] ?? [500, 'InternalError'];
  const retryAfter = error.details?.['retry_after_seconds'];
  const rule = error.details?.['rule'];
  const causes = [
    { reason: error.code, message: error.hint ?? error.message },
    ...(typeof rule === 'string' ? [{ reason: 'PolicyRule', message: rule }] : []),
  ];
  const body = Buffer.from(
    JSON.stringify({
      ...STATUS_TYPE,
      metadata: {},
      status: 'Failure',
      // kubectl shows nothing else of it.
      message: `pipeops-agent: ${error.message}${typeof rule === 'string' ? ` (${rule})` : ''}`,
      reason,
      details: {
        causes,
        ...(typeof retryAfter === 'number' ? { retryAfterSeconds: retryAfter } : {}),
      },
      code: status,
    }),
  );
  const headers: HeaderList = [
    ['Content-Type', 'application/json'],
    ['Content-Length', String(body.length)],
    ...(typeof retryAfter === 'number' ? [['Retry-After', String(retryAfter)] as const] : []),
  ];
  return { head: { status, reason, headers }, body };
}

export function shuttingDown(): AgentError {
  return new AgentError('SHUTTING_DOWN', 'The agent is stopping; ask again', {
    hint: 'Ask again after the time in Retry-After',
    details: { retry_after_seconds: RETRY_AFTER_SECONDS },
  });
}
