/** `go build` that says how far it is: all of Kubernetes takes minutes. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './host-command.ts';
import type { Tell } from './progress.ts';
import { timeLeft } from './time-left.ts';

/** Of a build that goes on: on a busy machine the linker alone takes minutes. */
const SILENCE_MS_MAX = 1_200_000;
/** Linking takes as long as compiling so much. */
const LINK_BYTES = 5_000_000;

export interface GoBuild {
  /** `go`, as a name or a path. */
  readonly program: string;
  /** The directory of the package. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of `go build`. */
  readonly args: readonly string[];
}

/** @throws Error with the end of what go said */
export async function goBuild({ program, cwd, env, args }: GoBuild, tell: Tell): Promise<void> {
  const options = { cwd, env, silenceMs: SILENCE_MS_MAX };
  const packages = await packagesToBuild(program, options, tell);
  const totalBytes = LINK_BYTES + [...packages.values()].reduce((sum, bytes) => sum + bytes, 0);
  const began = performance.now();
  let doneBytes = 0;
  let beforeBytes = 0;
  tell(`${packages.size} packages to compile`);
  await runCommand([program, 'build', '-v', ...args, '.'], {
    ...options,
    // A package is named when its turn comes: then the one before is done, more or less.
    heard: (name) => {
      doneBytes += beforeBytes;
      beforeBytes = packages.get(name) ?? 0;
      packages.delete(name);
      tell(timeLeft(doneBytes / totalBytes, performance.now() - began));
    },
  });
}

/** Those that the build cache does not have, each with the size of its sources. */
async function packagesToBuild(
  program: string,
  options: { readonly cwd: string; readonly env: GoBuild['env']; readonly silenceMs: number },
  tell: Tell,
): Promise<Map<string, number>> {
  const modules = await modulesRequired(options.cwd);
  let downloaded = 0;
  tell('looking for what there is to compile');
  const format = '{{if .Stale}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\t"}}{{end}}';
  const { stdout } = await runCommand([program, 'list', '-deps', '-f', format, '.'], {
    ...options,
    heard: (line) => {
      if (line.startsWith('go: downloading ')) {
        downloaded += 1;
        tell(`downloading module ${downloaded} of at most ${Math.max(modules, downloaded)}`);
      }
    },
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  const sizes = lines.map(async (line): Promise<[string, number]> => {
    const [name = '', directory = '', ...files] = line.split('\t');
    const each = await Promise.all(files.map((file) => stat(join(directory, file))));
    return [name, each.reduce((sum, { size }) => sum + size, 0)];
  });
  return new Map(await Promise.all(sizes));
}

/** go.mod names every module that the build needs, one a line. */
async function modulesRequired(directory: string): Promise<number> {
  const text = await Bun.file(join(directory, 'go.mod')).text();
  return text.match(/^\s+\S+ v\d\S*/gm)?.length ?? 0;
}
