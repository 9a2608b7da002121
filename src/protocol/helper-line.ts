/** How root's helper answers: lines of JSON. */
import * as z from 'zod';

export const HELPER_ANSWER_BYTES_MAX = 1024 * 1024;

/** A line of the answer; the last one has `data` or `error`. */
export const HelperLine = z.union([
  z.object({ progress: z.string() }),
  z.object({ data: z.record(z.string(), z.unknown()) }),
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
]);
export type HelperLine = z.infer<typeof HelperLine>;
