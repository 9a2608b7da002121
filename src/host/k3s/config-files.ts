import { K3S_DIRECTORY } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';

const DROP_IN_DIRECTORY = `${K3S_DIRECTORY}/config.yaml.d`;

/** Every file that k3s reads its settings from, in its order (docs.k3s.io, "Multiple Config Files"). */
export async function k3sConfigFiles(files: Files): Promise<readonly string[]> {
  const names = (await files.list(DROP_IN_DIRECTORY)).filter((name) => /\.ya?ml$/.test(name));
  return [
    `${K3S_DIRECTORY}/config.yaml`,
    ...names.sort().map((name) => `${DROP_IN_DIRECTORY}/${name}`),
  ];
}
