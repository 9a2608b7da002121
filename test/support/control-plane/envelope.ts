import { z } from 'zod';

/** Stricter than what the agent takes in: it must send these four, with these types. */
export const AgentEnvelope = z.strictObject({
  type: z.string().min(1).max(64),
  request_id: z.string().min(1).max(256).optional(),
  payload: z.custom<Readonly<Record<string, unknown>>>(isObject, 'expected an object'),
  timestamp: z.iso.datetime({ offset: true }),
});
export type AgentEnvelope = z.infer<typeof AgentEnvelope>;

/** The schema's. */
const TIMESTAMP = z.regexes.datetime({ offset: true });

/** @returns undefined where the text is no JSON: the schema then says what is wrong */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * What the schema makes of a value that JSON.parse gave. Most messages are right at a glance; whatever is
 * not, the schema decides.
 * @returns the envelope, or what is wrong with it
 */
export function readEnvelope(value: unknown): AgentEnvelope | string {
  if (isEnvelope(value)) {
    return value;
  }
  const read = AgentEnvelope.safeParse(value);
  return read.success ? read.data : describe(read.error);
}

function isEnvelope(value: unknown): value is AgentEnvelope {
  if (!isObject(value)) {
    return false;
  }
  const { type, request_id: id, payload, timestamp } = value;
  return (
    isText(type, 64) &&
    (id === undefined || isText(id, 256)) &&
    isObject(payload) &&
    typeof timestamp === 'string' &&
    TIMESTAMP.test(timestamp) &&
    Object.keys(value).length === (id === undefined ? 3 : 4)
  );
}

/** What is in it is looked at by who takes the message: a record would be copied before. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= lengthMax;
}

export function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
}
