/**
 * The unit that changes the version and judges the new one: of a version that is already known to run. It is a
 * file, not transient, so that it goes on after a restart of the machine; it removes itself in the end.
 */
import type { Places } from '../../../core/places.ts';
import type { Exec, Files } from '../../../core/ports.ts';
import { forgetFailure, systemctl } from '../../engine/systemctl.ts';

export const WATCHER_UNIT_NAME = 'pipeops-agent-upgrade.service';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * Before the record is written: once there is one, a machine that loses its power goes on with it at its next start.
 * Without a record the unit only removes itself.
 * @param program of the version that judges: by its own path, not by the link that is changed
 */
export async function enableWatcher(deps: Deps, program: string): Promise<void> {
  const text = `# Written by "pipeops-agent upgrade" and "rollback"; gone when they have ended.
[Unit]
Description=PipeOps agent: change of its version
# Somebody must go on with it, whatever ends this; but what fails so often stays: "failed" is seen and told.
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
Type=exec
ExecStart=${program} upgrade watch
Restart=on-failure
RestartSec=2
UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS

[Install]
WantedBy=multi-user.target
`;
  await deps.files.writeAtomic(deps.places.upgradeUnitFile, text, { mode: 0o644 });
  await systemctl(deps, 'daemon-reload');
  await systemctl(deps, 'enable', '--quiet', WATCHER_UNIT_NAME);
}

/** Once there is a record. */
export async function startWatcher(deps: Deps): Promise<void> {
  // Starts of a change that was given up count, too (systemd.unit(5), "StartLimitIntervalSec").
  await forgetFailure(deps, WATCHER_UNIT_NAME);
  await systemctl(deps, 'start', '--no-block', WATCHER_UNIT_NAME);
}

/** It may remove itself: what runs of it goes on to its end. */
export async function removeWatcher(deps: Deps): Promise<void> {
  if ((await deps.files.stat(deps.places.upgradeUnitFile)) === undefined) {
    return;
  }
  await systemctl(deps, 'disable', '--quiet', WATCHER_UNIT_NAME);
  await deps.files.remove(deps.places.upgradeUnitFile);
  await systemctl(deps, 'daemon-reload');
  await forgetFailure(deps, WATCHER_UNIT_NAME);
}
