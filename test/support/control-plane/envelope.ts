import { z } from 'zod';

/** Stricter than what the agent takes in: it must send these four, with these types. */
export const AgentEnvelope = z.strictObject({
  type: z.string().min(1).max(64),
  request_id: z.string().min(1).max(256).optional(),
  payload: z.custom<Readonly<Record<string, unknown>>>(isObject, 'expected an object'),
  timestamp: z.iso.datetime({ offset: true }),
});
export type AgentEnvelope = z.infer<typeof AgentEnvelope>;

/** @returns undefined where the text is no JSON: the schema then says what is wrong */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is in it is looked at by who takes the message: a record would be copied before. */
function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
}
