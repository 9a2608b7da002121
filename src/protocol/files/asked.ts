/** What the control plane has asked for, and a person on the machine decides: root's file. */
import * as z from 'zod';

export const ASKED_LIMIT_BYTES = 256 * 1024;

export const Asked = z.object({
  v: z.literal(1),
  asked: z.array(
    z.object({
      /** What `host approve` takes. */
      id: z.string(),
      /** ISO time. */
      at: z.string(),
      /** The request as the helper got it, whose schema it has passed. */
      request: z.looseObject({ verb: z.string() }),
      decision: z.enum(['approved', 'refused']).nullable(),
    }),
  ),
});
export type Asked = z.infer<typeof Asked>;
export type AskedEntry = Asked['asked'][number];
