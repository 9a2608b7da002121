import { K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { isStartedOrStarting, systemctl } from '../engine/systemctl.ts';
import type { UnitWatch } from '../engine/unit-watch.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * Notes, before what k3s reads at its start is changed, that it must start again. The note is a file:
 * a run that is interrupted is made good by the next.
 */
export async function askK3sRestart(deps: Deps, role: K3sRole): Promise<void> {
  if (await isStartedOrStarting(deps, K3S_UNITS[role])) {
    await deps.files.claimDirectory(deps.places.hostStateDirectory, { mode: 0o700 });
    await deps.files.writeAtomic(deps.places.k3sRestartFile, '', { mode: 0o600 });
  }
}

export async function isK3sRestartDue(deps: Pick<Deps, 'files' | 'places'>): Promise<boolean> {
  return (await deps.files.stat(deps.places.k3sRestartFile)) !== undefined;
}

/**
 * Starts k3s, anew where that is due; without waiting until it is ready. Pods live on.
 * @param watch counts from this start on
 */
export async function startK3s(deps: Deps, watch: UnitWatch, role: K3sRole): Promise<void> {
  const unit = K3S_UNITS[role];
  await systemctl(deps, 'enable', '--quiet', unit);
  if (await isK3sRestartDue(deps)) {
    // Waits for the end, and so whoever asks next is answered by the new one.
    await systemctl(deps, 'stop', unit);
  }
  await watch.begin();
  await systemctl(deps, 'start', '--no-block', unit);
  await deps.files.remove(deps.places.k3sRestartFile);
}
