import { K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { Command } from '../engine/resource.ts';
import { isStartedOrStarting, systemctl } from '../engine/systemctl.ts';
import type { UnitWatch } from '../engine/unit-watch.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * To be called before something is changed that k3s reads only at its start. Notes in a file that k3s
 * must be restarted, so that after an interrupted run the next one does it.
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

export function startCommands(role: K3sRole, isRestart: boolean): readonly Command[] {
  const unit = K3S_UNITS[role];
  return [
    ['systemctl', 'enable', '--quiet', unit],
    ...(isRestart ? ([['systemctl', 'stop', unit]] as const) : []),
    ['systemctl', 'start', '--no-block', unit],
  ];
}

/**
 * Starts k3s, or restarts it where that is due. Does not wait until it is ready. Pods keep running.
 * @param watch begins with this start
 */
export async function startK3s(deps: Deps, watch: UnitWatch, role: K3sRole): Promise<void> {
  const unit = K3S_UNITS[role];
  await systemctl(deps, 'enable', '--quiet', unit);
  if (await isK3sRestartDue(deps)) {
    // This waits until k3s has ended. So the next question is answered by the new one.
    await systemctl(deps, 'stop', unit);
  }
  await watch.begin();
  await systemctl(deps, 'start', '--no-block', unit);
  await deps.files.remove(deps.places.k3sRestartFile);
}
