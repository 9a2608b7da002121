/** What another terminal must know of a demo that keeps running. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../../test/vm/cache.ts';

export interface KeptDemo {
  /** Of the demo; the file outlives one that was killed. */
  readonly pid: number;
  /** Name of a machine to its name on the host. */
  readonly machines: Readonly<Record<string, string>>;
}

const FILE = join(cacheDirectory(), 'demo.json');

/** The last one that was kept counts. */
export async function rememberDemo(demo: KeptDemo): Promise<void> {
  await Bun.write(FILE, JSON.stringify(demo));
}

/** @returns undefined when none runs */
export async function keptDemo(): Promise<KeptDemo | undefined> {
  const file = Bun.file(FILE);
  // We wrote it.
  const demo = (await file.exists()) ? ((await file.json()) as KeptDemo) : undefined;
  const runs = demo !== undefined && (await Bun.file(`/proc/${demo.pid}/stat`).exists());
  return runs ? demo : undefined;
}

export async function forgetDemo(): Promise<void> {
  await rm(FILE, { force: true });
}
