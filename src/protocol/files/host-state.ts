/** Root's own files in /var/lib/pipeops-agent-host. */
import * as z from 'zod';

/**
 * One thing that was made on this machine. `name` is a path, the name of a user, or the role of
 * k3s (`server`, `agent`).
 */
export const InventoryEntry = z.strictObject({
  kind: z.enum(['file', 'directory', 'link', 'unit', 'user', 'group', 'k3s']),
  name: z.string().min(1),
});
export type InventoryEntry = z.infer<typeof InventoryEntry>;

export const Inventory = z.strictObject({ v: z.literal(1), entries: z.array(InventoryEntry) });

/** How far each step of an installation came, by its id. */
export const StepJournal = z.record(
  z.string(),
  z.strictObject({ state: z.enum(['begun', 'done']), at: z.iso.datetime() }),
);
export type StepJournal = z.infer<typeof StepJournal>;
