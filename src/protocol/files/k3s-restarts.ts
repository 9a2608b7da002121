/** When root's helper last restarted k3s, and why: in root's directory. */
import * as z from 'zod';

export const K3sRestarts = z.looseObject({
  v: z.literal(1),
  certificates: z.iso.datetime().optional(),
  address: z.iso.datetime().optional(),
});
export type K3sRestarts = z.infer<typeof K3sRestarts>;
