import { dirname } from 'node:path';
import { AgentError } from '../core/errors.ts';
import type { Exec, Files } from '../core/ports.ts';
import { diskFull } from './disk-full.ts';
import { type HostInventory, recordNew } from './inventory.ts';
import { EXECUTABLE_LINK, VERSIONS_DIRECTORY } from './paths.ts';
import type { Step } from './steps.ts';

const COPY_TIMEOUT_MS = 120_000;
const EXECUTABLE_MODE = 0o755;
const OTHERS_MAY_USE = 0o005;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

function executablePath(version: string): string {
  return `${VERSIONS_DIRECTORY}/${version}/pipeops-agent`;
}

/** Places this very executable as the installed one. install.sh has done it already; others not. */
export function placeExecutable(
  deps: Deps,
  inventory: HostInventory,
  options: { readonly version: string; readonly runningFrom: string },
): Step {
  const path = executablePath(options.version);
  return {
    id: 'place-executable',
    title: 'Place the executable',
    touches: [path, EXECUTABLE_LINK],
    isDone: async () =>
      (await isUsable(deps.files, path)) &&
      (await deps.files.readLink(EXECUTABLE_LINK)) === path &&
      inventory.has('directory', VERSIONS_DIRECTORY) &&
      inventory.has('link', EXECUTABLE_LINK),
    apply: async () => {
      // install.sh makes both before us, for us: they are ours although they are there.
      await inventory.record({ kind: 'directory', name: VERSIONS_DIRECTORY });
      await inventory.record({ kind: 'link', name: EXECUTABLE_LINK });
      await recordNew(deps, inventory, { kind: 'directory', name: dirname(EXECUTABLE_LINK) });
      for (const directory of [VERSIONS_DIRECTORY, dirname(path)]) {
        await deps.files.claimDirectory(directory, { mode: EXECUTABLE_MODE });
      }
      if ((await deps.files.stat(path)) === undefined) {
        await copy(deps, options.runningFrom, path);
      }
      await deps.files.changeMode(path, EXECUTABLE_MODE);
      await deps.files.makeDirectory(dirname(EXECUTABLE_LINK), { mode: EXECUTABLE_MODE });
      await deps.files.link(path, EXECUTABLE_LINK);
    },
  };
}

/** Whether the daemon, which is not root, can reach and run it. */
async function isUsable(files: Files, path: string): Promise<boolean> {
  const places = [VERSIONS_DIRECTORY, dirname(path), path];
  const stats = await Promise.all(places.map((place) => files.stat(place)));
  return stats.every(
    (stat) => stat !== undefined && (stat.mode & OTHERS_MAY_USE) === OTHERS_MAY_USE,
  );
}

async function copy(deps: Deps, from: string, to: string): Promise<void> {
  const result = await deps.exec.run(['install', '-m', '0755', from, `${to}.partial`], {
    timeoutMs: COPY_TIMEOUT_MS,
  });
  if (result.exitCode !== 0) {
    await deps.files.remove(`${to}.partial`);
    throw (
      diskFull(result.stderr, 'place the executable', to) ??
      new AgentError('FILE_ACCESS', `Cannot place ${to}: ${result.stderr}`, {
        hint: 'Check the permissions, then run the same command again',
      })
    );
  }
  await deps.exec.run(['mv', `${to}.partial`, to], { timeoutMs: COPY_TIMEOUT_MS });
}
