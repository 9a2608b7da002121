/**
 * How far a machine is that leaves its cluster. Root's, among the files of the inventory, and gone with them.
 * Once k3s is stopped or removed, nothing else on the machine knows it.
 */
import * as z from 'zod';

export const LeaveNote = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  node: z.string(),
  role: z.enum(['server', 'agent']),
  /** Where the cluster answers without this machine. */
  servers: z.array(z.string()),
  /**
   * `leaving`: the cluster is to be asked how far it is; `out`: it has no node of that name any more;
   * `unheard`: nobody has answered, and the machine goes all the same.
   */
  state: z.enum(['leaving', 'out', 'unheard']),
});
export type LeaveNote = Readonly<z.infer<typeof LeaveNote>>;
