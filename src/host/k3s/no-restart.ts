import { dirname } from 'node:path';
import { K3S_NO_RESTART_FILE, K3S_UNITS } from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { systemctl } from '../engine/systemctl.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * A server whose member is taken out of etcd ends k3s. If it were started again, it would join anew; and the
 * one that began with etcd would begin a second cluster. So neither systemd nor a boot starts it.
 */
export async function keepK3sDown(deps: Deps): Promise<void> {
  await deps.files.makeDirectory(dirname(K3S_NO_RESTART_FILE), { mode: 0o755 });
  await deps.files.writeAtomic(K3S_NO_RESTART_FILE, '[Service]\nRestart=no\n', { mode: 0o644 });
  await systemctl(deps, 'disable', '--quiet', K3S_UNITS.server);
  await systemctl(deps, 'daemon-reload');
}

/** It stays a server. */
export async function letK3sRestart(deps: Deps): Promise<void> {
  await forgetKeptDown(deps);
  await systemctl(deps, 'daemon-reload');
  await systemctl(deps, 'enable', '--quiet', K3S_UNITS.server);
}

/** Once there is no k3s that could start. systemd must still read its units anew. */
export async function forgetKeptDown({ files }: Pick<Deps, 'files'>): Promise<void> {
  await files.remove(K3S_NO_RESTART_FILE);
  await files.removeEmptyDirectory(dirname(K3S_NO_RESTART_FILE));
}
