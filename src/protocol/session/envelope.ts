import { Envelope } from './messages.ts';

/**
 * Reads a value that JSON.parse gave, as `Envelope` does. Nearly every message is right, and this
 * sees it in a tenth of the schema's time; the schema decides about the rest.
 * @returns the envelope, or what is wrong with it
 */
export function readEnvelope(value: unknown): Envelope | string {
  if (isEnvelope(value)) {
    return value;
  }
  const parsed = Envelope.safeParse(value);
  return parsed.success
    ? parsed.data
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

function isEnvelope(value: unknown): value is Envelope {
  if (!isObject(value)) {
    return false;
  }
  const { type, request_id: id, payload, timestamp } = value;
  return (
    isText(type, 64) &&
    type.length > 0 &&
    (id === undefined || isText(id, 256)) &&
    (payload === undefined || payload === null || isObject(payload)) &&
    (timestamp === undefined || timestamp === null || isText(timestamp, 64))
  );
}

/** The schema drops a key "__proto__". */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !Object.hasOwn(value, '__proto__')
  );
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length <= lengthMax;
}
