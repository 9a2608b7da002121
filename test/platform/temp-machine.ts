import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Files } from '../../src/core/ports.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { tempDirectory } from '../support/temp-dir.ts';

export const UID = process.getuid?.() ?? 0;
export const GID = process.getgid?.() ?? 0;
/** Ids that the test may give files to: any others as root, else only its own. */
export const AGENT_UID = UID === 0 ? 4_001 : UID;
export const AGENT_GID = UID === 0 ? 4_002 : GID;

export interface Machine extends AsyncDisposable {
  readonly files: Files;
  /** Where a path of the machine really stands. */
  real(path: string): string;
}

/** A root with /etc, which knows the user `agent` and the group `agents`. */
export async function machine(): Promise<Machine> {
  const root = await tempDirectory();
  const real = (path: string) => join(root.path, path);
  await mkdir(real('/etc'));
  await writeFile(
    real('/etc/passwd'),
    `root:x:0:0::/root:/bin/sh\nagent:x:${AGENT_UID}:77::/:/bin/no\n`,
  );
  await writeFile(real('/etc/group'), `root:x:0:\nagents:x:${AGENT_GID}:\n`);
  return {
    files: systemFiles(root.path),
    real,
    [Symbol.asyncDispose]: () => root[Symbol.asyncDispose](),
  };
}

/** Permission bits in octal digits: `640`. */
export async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8);
}
