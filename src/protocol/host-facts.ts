/** What root's helper sees of the machine at each look of the daemon: apart from what commands ask, which few need. */
import * as z from 'zod';

/** Why k3s is to be restarted, where a restart mends it. */
const RESTART_REASONS = ['certificates', 'address'] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

/** What k3s on this machine needs, and when the authority of its cluster ends. */
const K3sUpkeep = z.object({
  restart: z.enum(RESTART_REASONS).nullable(),
  /** null before k3s has made one. */
  authority_ends: z.iso.datetime().nullable(),
});
export type K3sUpkeep = z.infer<typeof K3sUpkeep>;

/** Why it was restarted; null where nothing is mended by that. */
export const RestartedK3s = z.object({ restarted: z.enum(RESTART_REASONS).nullable() });
export type RestartedK3s = z.infer<typeof RestartedK3s>;

/** What is wrong with the machine, of what only root can see. */
export const HostFacts = z.object({
  findings: z.array(
    z.object({ check: z.string(), code: z.string(), message: z.string(), hint: z.string() }),
  ),
  k3s: K3sUpkeep,
});
export type HostFacts = z.infer<typeof HostFacts>;
