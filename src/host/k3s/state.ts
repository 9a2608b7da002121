import { K3S_ROLES, K3S_UNITS, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { activeState } from '../engine/systemctl.ts';
import { installedK3sVersion } from './program.ts';

export interface K3sState {
  readonly unit: string;
  /** As systemd calls it: `active`, `activating`, `failed`, `inactive`. */
  readonly state: string;
  /** Of the program; null where it does not say. */
  readonly version: string | null;
}

/** The state of k3s on this machine; undefined where it has no unit. @throws AgentError TOOL_MISSING */
export async function k3sState(deps: {
  readonly exec: Exec;
  readonly files: Files;
}): Promise<K3sState | undefined> {
  for (const role of K3S_ROLES) {
    if ((await deps.files.stat(k3sUnitFile(role))) !== undefined) {
      const unit = K3S_UNITS[role];
      const [state, version] = await Promise.all([
        activeState(deps, unit),
        installedK3sVersion(deps),
      ]);
      return { unit, state: state === '' ? 'unknown' : state, version: version ?? null };
    }
  }
  return undefined;
}
