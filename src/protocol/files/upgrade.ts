/**
 * Root's record of a change of the agent's version, while it is under way: whoever reads it can finish it,
 * after a kill or a power cut, too. Other versions write and read it, so fields are only added.
 */
import * as z from 'zod';

/** The newest form that is read here: `v` is the oldest reader that may use one. */
export const UPGRADE_READER = 1;

export const AgentVersion = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/);

const Change = z.looseObject({
  v: z.int().min(1),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  kind: z.enum(['upgrade', 'rollback']),
  from: AgentVersion,
  to: AgentVersion,
  /** The command of the control plane that has asked for it. */
  command_id: z.string().optional(),
});

export const UpgradeRecord = z.looseObject({
  ...Change.shape,
  /**
   * `switch`: the link is to lead to the new version. `judge`: it does, and whether that one is well is not
   * known yet. `back`: it was not, and the link is to lead back.
   */
  step: z.enum(['switch', 'judge', 'back']),
  began: z.iso.datetime(),
  /** How often somebody has begun to judge: a machine that goes down again and again is no proof. */
  judged: z.int().min(0),
  /** Whether the agent had a session before: then it must have one after. */
  had_session: z.boolean(),
  /** Why it goes back. */
  why: z.string().nullable(),
});
export type UpgradeRecord = z.infer<typeof UpgradeRecord>;

/** What a version prints of itself before it takes over. */
export const SelfTest = z.looseObject({
  version: AgentVersion,
  store: z.enum(['good', 'absent', 'damaged']),
  /** What is wrong with the settings for this version; null where it understands them. */
  config: z.string().nullable(),
});
export type SelfTest = z.infer<typeof SelfTest>;

/** How the last one ended. */
export const UpgradeResult = z.looseObject({
  ...Change.shape,
  /** `stuck`: neither version came up. */
  outcome: z.enum(['done', 'went-back', 'stuck']),
  why: z.string().nullable(),
  at: z.iso.datetime(),
  took_ms: z.number(),
});
export type UpgradeResult = z.infer<typeof UpgradeResult>;
