import { toolPath } from '../../core/tool-path.ts';
import type { FactDeps } from './fact.ts';

/** Whether a program is where this user's and the system's programs are. */
export async function isProgramThere(
  { files, env }: Pick<FactDeps, 'files' | 'env'>,
  name: string,
): Promise<boolean> {
  for (const directory of toolPath(env['PATH'])) {
    if ((await files.stat(`${directory}/${name}`)) !== undefined) {
      return true;
    }
  }
  return false;
}
