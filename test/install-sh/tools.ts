/**
 * The PATH of a run: a directory that holds the tools which install.sh may use and nothing else, so
 * that a run proves what it needs, and that it never calls a package manager.
 */

import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import type { Shell } from './shells.ts';

export type Fetcher = 'curl' | 'wget';

const TOOLS = [
  ...['chmod', 'date', 'gzip', 'id', 'ln', 'mkdir', 'mktemp', 'mv', 'readlink', 'rm', 'rmdir'],
  ...['sha256sum', 'uname', 'wc'],
];

export interface Tools extends AsyncDisposable {
  /** Value of PATH. */
  readonly path: string;
  /** The arguments of every tool that was called, one call a line; empty unless recording. */
  readonly calls: () => Promise<string>;
}

export interface ToolsOptions {
  readonly fetcher?: Fetcher;
  /** Tools that only some machines have. */
  readonly more?: readonly string[];
  /** Tools that this machine lacks. */
  readonly without?: readonly string[];
  /** Shell scripts that stand in for tools, or for some that this machine need not have, by name. */
  readonly replaced?: Readonly<Record<string, string>>;
  readonly recording?: boolean;
}

export async function provideTools(shell: Shell, options: ToolsOptions = {}): Promise<Tools> {
  const directory = await tempDirectory();
  const callsFile = `${directory.path}.calls`;
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(directory);
  cleanup.defer(() => Bun.file(callsFile).delete());
  await writeFile(callsFile, '');
  // The fetcher is never BusyBox': install.sh refuses that one.
  const targets = new Map(TOOLS.map((tool) => [tool, shell.toolbox ?? findTool(tool)]));
  const fetcher = options.fetcher ?? 'curl';
  for (const tool of [fetcher, ...(options.more ?? [])]) {
    targets.set(tool, findTool(tool));
  }
  const replaced = Object.entries(options.replaced ?? {});
  for (const [tool, script] of replaced) {
    targets.delete(tool);
    await writeFile(join(directory.path, tool), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  for (const [tool, target] of targets) {
    const file = join(directory.path, tool);
    if (options.without?.includes(tool)) {
      continue;
    }
    if (options.recording) {
      const call = target === shell.toolbox ? `${target} ${tool}` : target;
      const record = `echo ${tool} "$@" >>${callsFile}`;
      await writeFile(file, `#!/bin/sh\n${record}\nexec ${call} "$@"\n`, { mode: 0o755 });
    } else {
      await symlink(target, file);
    }
  }
  const owned = cleanup.move();
  return {
    path: directory.path,
    calls: () => readFile(callsFile, 'utf8'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function findTool(name: string): string {
  const path = Bun.which(name);
  if (path === null) {
    throw new Error(`These tests need ${name}. Install it with: apt-get install ${name}`);
  }
  return path;
}
