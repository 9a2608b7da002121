import { K3S_DROP_IN_DIRECTORY, K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';

/** All files from which k3s reads settings, in its order (docs.k3s.io, "Multiple Config Files"). */
export async function k3sConfigFiles(files: Files): Promise<readonly string[]> {
  const names = (await files.list(K3S_DROP_IN_DIRECTORY)).filter((name) => /\.ya?ml$/.test(name));
  return [K3S_MAIN_CONFIG_FILE, ...names.sort().map((name) => `${K3S_DROP_IN_DIRECTORY}/${name}`)];
}
