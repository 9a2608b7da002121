import { expectedError } from '../../core/errors.ts';
import { K3S_ROLES, K3S_UNITS, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { activeState } from '../engine/systemctl.ts';
import { readK3sCertificates } from './certificates.ts';
import { installedK3sVersion } from './program.ts';

export interface K3sState {
  readonly unit: string;
  /** As systemd calls it: `active`, `activating`, `failed`, `inactive`. */
  readonly state: string;
  /** Of the program; null where it does not say. */
  readonly version: string | null;
  /** When the first of its certificates ends, and the authority of the cluster; null where only root may look. */
  readonly certificates: { readonly end: string; readonly authority: string } | null;
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
      return {
        unit,
        state: state === '' ? 'unknown' : state,
        version: version ?? null,
        certificates: await certificateEnds(deps),
      };
    }
  }
  return undefined;
}

async function certificateEnds(deps: { readonly files: Files }): Promise<K3sState['certificates']> {
  const found = await readK3sCertificates(deps.files).catch((thrown) => {
    expectedError(thrown);
    return [];
  });
  const first = (isAuthority: boolean) =>
    found
      .filter((each) => each.isAuthority === isAuthority)
      .map(({ endsAt }) => endsAt.toISOString())
      .sort()[0];
  const [end, authority] = [first(false), first(true)];
  return end === undefined || authority === undefined ? null : { end, authority };
}
