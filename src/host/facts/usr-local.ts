import { USR_LOCAL, USR_LOCAL_LAYER, USR_LOCAL_UNIT_FILE } from '../../core/places.ts';
import { mountOf, readMounts } from '../engine/mount-table.ts';
import { realPath } from '../engine/real-path.ts';
import type { Fact, FactDeps } from './fact.ts';

/**
 * Whether programs can be put below /usr/local: `layer` where it is read-only, and something writable can be
 * laid over it (host/agent/usr-local-layer.ts).
 */
export type UsrLocal = 'writable' | 'layer' | 'read-only';

export const usrLocal: Fact<UsrLocal> = {
  id: 'usr-local',
  read: async (deps) => await readUsrLocal(deps),
};

export async function readUsrLocal({ files }: Pick<FactDeps, 'files'>): Promise<UsrLocal> {
  const all = await readMounts(files);
  const isReadOnly = async (path: string) =>
    mountOf(all, await realPath(files, path))?.options.has('ro') === true;
  if (!(await isReadOnly(`${USR_LOCAL}/bin`))) {
    return 'writable';
  }
  // A link leads elsewhere, and what is mounted below would not be seen through the layer.
  const isPlain = (await files.stat(USR_LOCAL))?.kind === 'directory';
  const hasMounts = all.some(({ path }) => path.startsWith(`${USR_LOCAL}/`));
  const isTaken = (await files.stat(USR_LOCAL_UNIT_FILE)) !== undefined;
  return isPlain && !hasMounts && !isTaken && !(await isReadOnly(USR_LOCAL_LAYER))
    ? 'layer'
    : 'read-only';
}
