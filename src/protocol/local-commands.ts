/** Remote commands as the local API tells them. Their payloads are not told: they hold secrets. */
import * as z from 'zod';
import { KnownResult } from './rest.ts';

export const CommandRow = z.object({
  id: z.string(),
  /** Grows with each command. */
  sequence: z.int(),
  type: z.string(),
  /** `accepted`, `running`, `done` (the control plane has not taken the result), `delivered`. */
  state: z.string(),
  /** `succeeded`, `failed`; in a list `ended` where the result is long. null while it is open. */
  outcome: z.string().nullable(),
  attempts: z.int(),
  accepted_at: z.string(),
  started_at: z.string().nullable(),
  /** When it was asked to stop. */
  cancelled_at: z.string().nullable(),
  finished_at: z.string().nullable(),
});
export type CommandRow = z.infer<typeof CommandRow>;

/** GET /api/commands: the newest first. */
export const CommandsAnswer = z.object({
  items: z.array(CommandRow),
  /** `before` of the next question; null where there are no older ones. */
  next: z.int().nullable(),
});
export type CommandsAnswer = z.infer<typeof CommandsAnswer>;

/** GET /api/commands/{id} */
export const CommandAnswer = CommandRow.extend({
  /** What it is about: `default/web`. null where it says nothing, and once it has ended. */
  target: z.string().nullable(),
  /** What it does just now. */
  progress: z.string().nullable(),
  /** null while it is open. */
  result: KnownResult.nullable(),
});
export type CommandAnswer = z.infer<typeof CommandAnswer>;

/** POST /api/commands/{id}/cancel */
export const CancelAnswer = z.object({
  /** `cancelling`; `finished`: too late. */
  outcome: z.string(),
});
export type CancelAnswer = z.infer<typeof CancelAnswer>;
