import type { Files } from '../../core/ports.ts';
import { toolPath } from '../../core/tool-path.ts';

interface Deps {
  readonly files: Files;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Whether a program is where this user's and the system's programs are. */
export async function isProgramThere({ files, env }: Deps, name: string): Promise<boolean> {
  for (const directory of toolPath(env['PATH'])) {
    if ((await files.stat(`${directory}/${name}`)) !== undefined) {
      return true;
    }
  }
  return false;
}
