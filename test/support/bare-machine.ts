import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEBIAN_12, machineTree, putTree } from './machine-tree.ts';
import { type TempDirectory, tempDirectory } from './temp-dir.ts';
import { TOOLS } from './tools.ts';

export interface BareMachine extends TempDirectory {
  /** Writes a file below the root, with its directories. */
  put(path: string, text: string): Promise<void>;
  /** Every file below the root with its content, to see that nothing was changed. */
  listing(): Promise<Readonly<Record<string, string>>>;
}

/** A temporary root with what the checks before an installation want to see. */
export async function bareMachine(): Promise<BareMachine> {
  const directory = await tempDirectory();
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(directory.path, path)), { recursive: true });
    await writeFile(join(directory.path, path), text);
  };
  for (const tool of TOOLS) {
    await put(`/usr/bin/${tool}`, '');
  }
  await put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
  await put('/etc/group', 'root:x:0:\n');
  await putTree(directory.path, machineTree(DEBIAN_12));
  await put('/run/systemd/container', 'systemd-nspawn'); // Its clock is its host's.
  return {
    path: directory.path,
    put,
    listing: async () => {
      const found: Record<string, string> = {};
      for await (const path of new Bun.Glob('**/*').scan({ cwd: directory.path, dot: true })) {
        found[`/${path}`] = await Bun.file(join(directory.path, path)).text();
      }
      return found;
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
