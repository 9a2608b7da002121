import { ProxyResponsePayload } from '../../../src/protocol/session/proxy.ts';

/**
 * What the schema makes of a value that JSON.parse gave. Most answers are right at a glance; whatever is
 * not, the schema decides.
 * @throws ZodError that says what is wrong
 */
export function wholeAnswer(payload: unknown): ProxyResponsePayload {
  return isWholeAnswer(payload) ? payload : ProxyResponsePayload.parse(payload);
}

function isWholeAnswer(payload: unknown): payload is ProxyResponsePayload {
  if (!isObject(payload)) {
    return false;
  }
  const { status, headers, body, encoding } = payload;
  return (
    Number.isSafeInteger(status) &&
    (headers === null || areHeaders(headers)) &&
    (body === undefined || typeof body === 'string') &&
    (encoding === undefined || encoding === 'base64' || encoding === 'gzip') &&
    Object.keys(payload).length ===
      2 + (body === undefined ? 0 : 1) + (encoding === undefined ? 0 : 1)
  );
}

/** The schema drops a key "__proto__". */
function areHeaders(headers: unknown): boolean {
  return (
    isObject(headers) &&
    !Object.hasOwn(headers, '__proto__') &&
    Object.values(headers).every((values) => Array.isArray(values) && values.every(isText))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
