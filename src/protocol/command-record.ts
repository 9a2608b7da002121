/**
 * What the cluster keeps of commands, for the server that takes the session over: one record for each
 * command whose result nobody has taken yet, and lists of those whose result was taken
 * (docs/decisions/0035-memory-of-commands.md). Another version of the agent may read it.
 */
import * as z from 'zod';
import { KnownResult } from './rest.ts';

export const CommandRecord = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  id: z.string().min(1),
  type: z.string().min(1),
  /** Grows with each acceptance in the whole cluster. */
  position: z.int().min(1),
  /** One tenure of one agent: nobody else may change it, until another one takes over. */
  holder: z.string().min(1),
  /** ISO times. */
  accepted_at: z.string(),
  cancelled_at: z.string().nullable(),
  started_at: z.string().nullable(),
  /** How often it was begun; 0 when it never was. */
  attempts: z.int().min(0),
});
export type CommandRecord = z.infer<typeof CommandRecord>;

/** The head of a list of commands whose result was taken. */
export const DeliveredList = z.looseObject({ v: z.literal(1), number: z.int().min(1) });
export type DeliveredList = z.infer<typeof DeliveredList>;

/** One of them. */
export const DeliveredCommand = z.looseObject({
  id: z.string().min(1),
  type: z.string().min(1),
  /** To answer it once more; a large one without output and data. */
  result: KnownResult,
});

/** @returns undefined where the text is none that is known here */
export function parseMemory<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // Somebody else has written it, or a newer version.
  }
}
