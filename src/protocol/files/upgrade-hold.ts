/** What a person on the machine has said about its version: root's file. */
import * as z from 'zod';
import { AgentVersion } from './upgrade.ts';

export const UpgradeHold = z.object({
  v: z.literal(1),
  /** No other version is brought by an upgrade. */
  pin: AgentVersion.nullable(),
  /** Until then the control plane's upgrades are refused. */
  paused_until: z.iso.datetime().nullable(),
});
export type UpgradeHold = z.infer<typeof UpgradeHold>;
