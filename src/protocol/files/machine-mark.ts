/** What the daemon's store says of the machine that it belongs to. */
import * as z from 'zod';

/** What tells one machine from another; null where it is not known. */
export const MachineMark = z.object({
  /** /etc/machine-id. */
  machine: z.string().nullable(),
  /** A hash of the number that firmware or hypervisor give: a copy of a machine gets another one. */
  hardware: z.string().nullable(),
  /** Of the present boot: within one nobody copies anything. */
  boot: z.string().nullable(),
});
export type MachineMark = Readonly<z.infer<typeof MachineMark>>;

/** On a copy: the agent of the other machine, its configured id (empty for none), and since when. */
export const CopiedFrom = z.object({ of: z.string(), configured: z.string(), at: z.string() });
