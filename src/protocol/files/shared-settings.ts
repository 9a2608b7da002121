/**
 * What all servers of a cluster have in common, in two ConfigMaps that only root writes: as administrator
 * of the cluster, never by the agent's account. There is no secret in them.
 */
import * as z from 'zod';
import { PolicyFile } from './policy.ts';

export const SHARED_SETTINGS_KEY = 'settings';
export const SHARED_POLICY_KEY = 'policy';

/** Settings by section and name: `join` writes them into `config.yaml`, where they are checked. */
export const SharedSettings = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  settings: z.record(z.string(), z.record(z.string(), z.unknown())),
  /** Certificates (PEM) to trust for the control plane; null: the public ones. */
  ca: z.string().nullable(),
});
export type SharedSettings = z.infer<typeof SharedSettings>;

/** @returns undefined where it is not there, or of a version that needs another reader */
export function parseSharedSettings(text: string | undefined): SharedSettings | undefined {
  return SharedSettings.safeParse(parsed(text)).data;
}

/** Without what is as in the preset: an agent of an earlier version does not know each key. */
export function sharedPolicyText(policy: PolicyFile): string {
  const { preset } = policy;
  const usual: Readonly<Record<string, unknown>> = PolicyFile.parse({ preset });
  const own = Object.entries(policy).filter(([key, value]) => !Bun.deepEquals(value, usual[key]));
  return JSON.stringify({ preset, ...Object.fromEntries(own) });
}

/** @returns undefined where it is not there, or has a key that is not known here */
export function parseSharedPolicy(text: string | undefined): PolicyFile | undefined {
  return PolicyFile.safeParse(parsed(text)).data;
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}
