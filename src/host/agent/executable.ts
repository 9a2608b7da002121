import { basename, dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import {
  EXECUTABLE_LINK,
  PREVIOUS_EXECUTABLE_FILE,
  UNPROVEN_EXECUTABLE_FILE,
  VERSIONS_DIRECTORY,
} from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { diskFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import {
  keepMissing,
  keepOriginal,
  originalOf,
  putBack,
  recordMissing,
} from '../engine/originals.ts';
import { changeOf, removePath, removeShared } from '../engine/removals.ts';
import { LEAVES_NOTHING, type Removal, type Resource } from '../engine/resource.ts';

const COPY_TIMEOUT_MS = 120_000;
const EXECUTABLE_MODE = 0o755;
const OTHERS_MAY_USE = 0o005;
/** As install.sh takes them; not its unfinished downloads. */
const VERSION_SHAPE = /^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/;

const LINK = { kind: 'link', name: EXECUTABLE_LINK } as const;
const VERSIONS = { kind: 'directory', name: VERSIONS_DIRECTORY } as const;
const LINK_DIRECTORY = {
  ...({ kind: 'directory', name: dirname(EXECUTABLE_LINK) } as const),
  isShared: true,
} as const;
/** Of everybody; a machine may lack them. */
const PARENTS = [dirname(LINK_DIRECTORY.name), dirname(VERSIONS_DIRECTORY)];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

function executablePath(version: string): string {
  return `${VERSIONS_DIRECTORY}/${version}/pipeops-agent`;
}

/**
 * Places this very executable beside the installed one. install.sh has done it already; others not.
 * The link to an older one stays until the new one takes over: see `executableSwitch`.
 */
export function placeExecutable(
  deps: Deps,
  inventory: HostInventory,
  options: { readonly version: string; readonly runningFrom: string },
): Resource {
  const path = executablePath(options.version);
  const isPlaced = () => isUsable(deps.files, path);
  return {
    id: 'place-executable',
    title: 'Place the executable',
    touches: [path],
    entries: [LINK_DIRECTORY, VERSIONS, LINK],
    isWanted: true,
    isDone: async () =>
      (await isPlaced()) &&
      (await linkedExecutable(deps)) !== undefined &&
      inventory.has('directory', VERSIONS_DIRECTORY) &&
      inventory.has('link', EXECUTABLE_LINK),
    apply: async () => {
      await claimPlaces(deps, inventory);
      for (const directory of [VERSIONS_DIRECTORY, dirname(path)]) {
        await deps.files.claimDirectory(directory, { mode: EXECUTABLE_MODE });
      }
      if ((await deps.files.stat(path)) === undefined) {
        await copy(deps, options.runningFrom, path);
      }
      await deps.files.changeMode(path, EXECUTABLE_MODE);
      if ((await linkedExecutable(deps)) === undefined) {
        await deps.files.makeDirectory(dirname(EXECUTABLE_LINK), { mode: EXECUTABLE_MODE });
        await deps.files.link(path, EXECUTABLE_LINK);
      }
    },
    changes: async () => {
      const isLinked = (await linkedExecutable(deps)) !== undefined;
      return [
        await changeOf(deps, path, await isPlaced()),
        await changeOf(deps, EXECUTABLE_LINK, isLinked),
      ];
    },
    undo: async () => [
      ...(await linkRemovals(deps, inventory)),
      ...(await removePath(deps, inventory, VERSIONS)),
      ...removeShared(deps, inventory, LINK_DIRECTORY.name),
      ...(await parentRemovals(deps)),
    ],
  };
}

/** install.sh makes versions and link before us, for us: they are ours although they are there. */
async function claimPlaces(deps: Deps, inventory: HostInventory): Promise<void> {
  await keepMissing(deps, PARENTS);
  await recordMissing(deps, inventory, LINK_DIRECTORY);
  await inventory.record(VERSIONS);
  const target = await deps.files.readLink(EXECUTABLE_LINK);
  if (target !== undefined && !isOurs(target) && !inventory.has('link', EXECUTABLE_LINK)) {
    await keepOriginal(deps, { ...LINK, target });
  }
  await inventory.record(LINK);
}

function isOurs(target: string): boolean {
  return target.startsWith(`${VERSIONS_DIRECTORY}/`);
}

/** A program that somebody has put there stays, and so does a link of somebody's. */
async function linkRemovals(deps: Deps, inventory: HostInventory): Promise<readonly Removal[]> {
  const isLink = (await deps.files.stat(EXECUTABLE_LINK))?.kind === 'link';
  const target = isLink ? await deps.files.readLink(EXECUTABLE_LINK) : undefined;
  return target !== undefined && isOurs(target) ? await removePath(deps, inventory, LINK) : [];
}

async function parentRemovals(deps: Deps): Promise<readonly Removal[]> {
  const removals: Removal[] = [];
  for (const name of PARENTS) {
    if ((await originalOf(deps, name)) !== undefined) {
      const changes = [{ action: 'remove', target: name }] as const;
      const title = `Remove directory ${name}`;
      const run = () => putBack(deps, name);
      removals.push({ title, changes, entries: [], originals: [name], shared: name, run });
    }
  }
  return removals;
}

/** Whether the daemon, which is not root, can reach and run it. */
async function isUsable(files: Files, path: string): Promise<boolean> {
  const places = [VERSIONS_DIRECTORY, dirname(path), path];
  const stats = await Promise.all(places.map((place) => files.stat(place)));
  return stats.every(
    (stat) => stat !== undefined && (stat.mode & OTHERS_MAY_USE) === OTHERS_MAY_USE,
  );
}

export interface ExecutableSwitch {
  /** Leads the link, and so the daemon's next start, to this version. */
  readonly step: Resource;
  /** This version has started: there is no way back any more. */
  proven(): Promise<void>;
  /**
   * Leads it back to the version that `step` has switched from, in this run or in one that ended
   * before the daemon was started.
   * @returns whether there was something to go back to
   */
  back(): Promise<boolean>;
}

export function executableSwitch(deps: Deps, version: string): ExecutableSwitch {
  const path = executablePath(version);
  return {
    step: {
      id: 'switch-executable',
      title: 'Switch to this version',
      touches: [EXECUTABLE_LINK],
      // It goes with the link, which another resource has made.
      ...LEAVES_NOTHING,
      isWanted: true,
      isDone: async () => (await linkedExecutable(deps)) === path,
      changes: async () => {
        const linked = await linkedExecutable(deps);
        const isDone = linked === undefined || linked === path; // It is made with this one.
        return [{ action: isDone ? 'keep' : 'change', target: EXECUTABLE_LINK }];
      },
      apply: async () => {
        const before = await linkedExecutable(deps);
        if (before !== undefined) {
          await deps.files.writeAtomic(PREVIOUS_EXECUTABLE_FILE, `${before}\n`, { mode: 0o600 });
          await deps.files.writeAtomic(UNPROVEN_EXECUTABLE_FILE, `${path}\n`, { mode: 0o600 });
        }
        await deps.files.link(path, EXECUTABLE_LINK);
      },
    },
    proven: async () => {
      await deps.files.remove(UNPROVEN_EXECUTABLE_FILE);
    },
    back: async () => {
      const unproven = (await deps.files.readText(UNPROVEN_EXECUTABLE_FILE))?.trim();
      const before = await previousExecutable(deps);
      if (unproven !== path || before === undefined) {
        return false;
      }
      await deps.files.link(before, EXECUTABLE_LINK);
      await deps.files.remove(UNPROVEN_EXECUTABLE_FILE);
      return true;
    },
  };
}

/** Removes all versions but this one and the one before. */
export function pruneVersions(deps: Deps, version: string): Resource {
  const old = async () => {
    const names = await deps.files.list(VERSIONS_DIRECTORY);
    const others = names.filter((name) => VERSION_SHAPE.test(name) && name !== version);
    const previous = await previousExecutable(deps);
    const kept =
      previous === undefined ? others.toSorted(newestFirst)[0] : basename(dirname(previous));
    return others.filter((name) => name !== kept);
  };
  return {
    id: 'prune-versions',
    title: 'Remove older versions',
    touches: [VERSIONS_DIRECTORY],
    ...LEAVES_NOTHING,
    isWanted: true,
    changes: async () =>
      (await old()).map((name) => ({ action: 'remove', target: `${VERSIONS_DIRECTORY}/${name}` })),
    isDone: async () => (await old()).length === 0,
    apply: async () => {
      for (const name of await old()) {
        await deps.files.removeTree(`${VERSIONS_DIRECTORY}/${name}`);
      }
    },
  };
}

/** By the numbers in it: a version may be named as in no scheme, `nightly-10`. */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}

/** Whether another version than this one is installed: this one has not taken over yet. */
export async function isOfOtherVersion(deps: Deps, version: string): Promise<boolean> {
  const linked = await linkedExecutable(deps);
  return linked !== undefined && linked !== executablePath(version);
}

/** Where the link leads; undefined when nothing is there. */
async function linkedExecutable(deps: Deps): Promise<string | undefined> {
  const target = await deps.files.readLink(EXECUTABLE_LINK);
  const there = target !== undefined && (await deps.files.stat(target)) !== undefined;
  return there ? target : undefined;
}

async function previousExecutable(deps: Deps): Promise<string | undefined> {
  const path = (await deps.files.readText(PREVIOUS_EXECUTABLE_FILE))?.trim();
  const there = path !== undefined && (await deps.files.stat(path)) !== undefined;
  return there ? path : undefined;
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
