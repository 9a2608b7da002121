import { basename, dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { SignedRelease } from '../../protocol/files/release.ts';
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
import { type Command, LEAVES_NOTHING, type Removal, type Resource } from '../engine/resource.ts';
import { writeSignedRelease } from '../release/signed-files.ts';

const COPY_TIMEOUT_MS = 120_000;
const EXECUTABLE_MODE = 0o755;
const OTHERS_MAY_USE = 0o005;
/** The names that install.sh takes for versions. Its unfinished downloads are named otherwise. */
const VERSION_SHAPE = /^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export function executablePath({ versionsDirectory }: Places, version: string): string {
  return `${versionsDirectory}/${version}/pipeops-agent`;
}

function linkEntry({ executableLink }: Places) {
  return { kind: 'link', name: executableLink } as const;
}

/** A directory that others use, too. */
function linkDirectoryEntry({ executableLink }: Places) {
  return { kind: 'directory', name: dirname(executableLink), isShared: true } as const;
}

/** Shared directories that a machine may lack. */
function parentsOf({ executableLink, versionsDirectory }: Places): readonly string[] {
  return [dirname(dirname(executableLink)), dirname(versionsDirectory)];
}

/**
 * Copies the running executable to its place beside the installed one. After install.sh it is there
 * already. The link leads to the older one until this one takes over (`executableSwitch`).
 */
export function placeExecutable(
  deps: Deps,
  inventory: HostInventory,
  options: {
    readonly version: string;
    readonly runningFrom: string;
    /** Kept beside it; install.sh has put them there already. */
    readonly signed: SignedRelease | undefined;
  },
): Resource {
  const { places } = deps;
  const { versionsDirectory, executableLink } = places;
  const link = linkEntry(places);
  const linkDirectory = linkDirectoryEntry(places);
  const versions = { kind: 'directory', name: versionsDirectory } as const;
  const path = executablePath(places, options.version);
  const isPlaced = () => isUsable(deps, path);
  if (places.isPackaged) {
    return packagedExecutable(deps, path);
  }
  return {
    id: 'place-executable',
    title: 'Place the executable',
    touches: [path],
    entries: [linkDirectory, versions, link],
    isWanted: true,
    isDone: async () =>
      (await isPlaced()) &&
      (await linkedExecutable(deps)) !== undefined &&
      inventory.has('directory', versionsDirectory) &&
      inventory.has('link', executableLink),
    apply: async () => {
      await claimPlaces(deps, inventory);
      for (const directory of [versionsDirectory, dirname(path)]) {
        await deps.files.claimDirectory(directory, { mode: EXECUTABLE_MODE });
      }
      if ((await deps.files.stat(path)) === undefined) {
        await copy(deps, options.runningFrom, path);
      }
      await deps.files.changeMode(path, EXECUTABLE_MODE);
      if (options.signed !== undefined) {
        await writeSignedRelease(deps.files, dirname(path), options.signed);
      }
      if ((await linkedExecutable(deps)) === undefined) {
        await deps.files.makeDirectory(dirname(executableLink), { mode: EXECUTABLE_MODE });
        await deps.files.link(path, executableLink);
      }
    },
    changes: async () => {
      const isLinked = (await linkedExecutable(deps)) !== undefined;
      return [
        await changeOf(deps, path, await isPlaced()),
        await changeOf(deps, executableLink, isLinked),
      ];
    },
    commands: async () =>
      (await deps.files.stat(path)) === undefined ? copying(options.runningFrom, path) : [],
    undo: async () => [
      ...(await linkRemovals(deps, inventory)),
      ...(await removePath(deps, inventory, versions)),
      ...removeShared(deps, inventory, linkDirectory.name),
      ...(await parentRemovals(deps)),
    ],
  };
}

/** The package has placed it, and takes it away. */
function packagedExecutable(deps: Deps, path: string): Resource {
  const isDone = async () => (await linkedExecutable(deps)) === path;
  return {
    id: 'place-executable',
    title: 'Place the executable',
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone,
    apply: async () => {
      throw new AgentError(
        'FILE_ACCESS',
        `${deps.places.executableLink} does not lead to ${path}`,
        {
          hint: 'Install the package pipeops-agent again, then run the same command again',
        },
      );
    },
    changes: async () => [{ action: 'keep', target: deps.places.executableLink }],
  };
}

/** install.sh makes the versions and the link for us. So they are ours although they exist already. */
async function claimPlaces(deps: Deps, inventory: HostInventory): Promise<void> {
  const { places } = deps;
  const link = linkEntry(places);
  await keepMissing(deps, parentsOf(places));
  await recordMissing(deps, inventory, linkDirectoryEntry(places));
  await inventory.record({ kind: 'directory', name: places.versionsDirectory });
  const target = await deps.files.readLink(link.name);
  if (target !== undefined && !isOurs(places, target) && !inventory.has('link', link.name)) {
    await keepOriginal(deps, { ...link, target });
  }
  await inventory.record(link);
}

function isOurs({ versionsDirectory }: Places, target: string): boolean {
  return target.startsWith(`${versionsDirectory}/`);
}

/** A program or a link that somebody else has put there stays. */
async function linkRemovals(deps: Deps, inventory: HostInventory): Promise<readonly Removal[]> {
  const link = linkEntry(deps.places);
  const isLink = (await deps.files.stat(link.name))?.kind === 'link';
  const target = isLink ? await deps.files.readLink(link.name) : undefined;
  return target !== undefined && isOurs(deps.places, target)
    ? await removePath(deps, inventory, link)
    : [];
}

async function parentRemovals(deps: Deps): Promise<readonly Removal[]> {
  const removals: Removal[] = [];
  for (const name of parentsOf(deps.places)) {
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
async function isUsable({ files, places }: Deps, path: string): Promise<boolean> {
  const way = [places.versionsDirectory, dirname(path), path];
  const stats = await Promise.all(way.map((each) => files.stat(each)));
  return stats.every(
    (stat) => stat !== undefined && (stat.mode & OTHERS_MAY_USE) === OTHERS_MAY_USE,
  );
}

export interface ExecutableSwitch {
  /** Makes the link, and so the daemon's next start, lead to this version. */
  readonly step: Resource;
  /** To be called once this version has started. After that there is no way back. */
  proven(): Promise<void>;
  /**
   * Makes the link lead to the earlier version again, if `step` has switched in this run, or in an
   * earlier one that did not start the daemon.
   * @returns whether there was something to go back to
   */
  back(): Promise<boolean>;
}

export function executableSwitch(deps: Deps, version: string): ExecutableSwitch {
  const path = executablePath(deps.places, version);
  const { executableLink, previousExecutableFile, unprovenExecutableFile } = deps.places;
  return {
    step: {
      id: 'switch-executable',
      title: 'Switch to this version',
      touches: [executableLink],
      // It is removed with the link, which another resource has made.
      ...LEAVES_NOTHING,
      isWanted: true,
      isDone: async () => (await linkedExecutable(deps)) === path,
      changes: async () => {
        const linked = await linkedExecutable(deps);
        const isDone = linked === undefined || linked === path; // A missing link is made with this one.
        return [{ action: isDone ? 'keep' : 'change', target: executableLink }];
      },
      apply: async () => {
        const before = await linkedExecutable(deps);
        if (before !== undefined) {
          await deps.files.writeAtomic(previousExecutableFile, `${before}\n`, { mode: 0o600 });
          await deps.files.writeAtomic(unprovenExecutableFile, `${path}\n`, { mode: 0o600 });
        }
        await deps.files.link(path, executableLink);
      },
    },
    proven: async () => {
      await deps.files.remove(unprovenExecutableFile);
    },
    back: async () => {
      const unproven = (await deps.files.readText(unprovenExecutableFile))?.trim();
      const before = await previousExecutable(deps);
      if (unproven !== path || before === undefined) {
        return false;
      }
      await deps.files.link(before, executableLink);
      await deps.files.remove(unprovenExecutableFile);
      return true;
    },
  };
}

/**
 * Removes all versions but this one and the one before.
 * @param runningFrom a program that is still needed, of whatever version
 */
export function pruneVersions(deps: Deps, version: string, runningFrom: string): Resource {
  const { isPackaged, versionsDirectory } = deps.places;
  const old = async () => {
    if (isPackaged) {
      return [];
    }
    const names = await deps.files.list(versionsDirectory);
    const others = names.filter((name) => VERSION_SHAPE.test(name) && name !== version);
    const previous = await previousExecutable(deps);
    const kept =
      previous === undefined ? others.toSorted(newestFirst)[0] : basename(dirname(previous));
    return others.filter(
      (name) => name !== kept && executablePath(deps.places, name) !== runningFrom,
    );
  };
  return {
    id: 'prune-versions',
    title: 'Remove older versions',
    touches: [versionsDirectory],
    ...LEAVES_NOTHING,
    isWanted: true,
    changes: async () =>
      (await old()).map((name) => ({ action: 'remove', target: `${versionsDirectory}/${name}` })),
    isDone: async () => (await old()).length === 0,
    apply: async () => {
      for (const name of await old()) {
        await deps.files.removeTree(`${versionsDirectory}/${name}`);
      }
    },
  };
}

/** Compares the numbers in the names, because a version may follow no scheme: `nightly-10`. */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}

/** Whether another version is installed, so that this one has not taken over yet. */
export async function isOfOtherVersion(deps: Deps, version: string): Promise<boolean> {
  const linked = await linkedExecutable(deps);
  return linked !== undefined && linked !== executablePath(deps.places, version);
}

/** Where the link leads; undefined when nothing is there. */
export async function linkedExecutable(deps: Deps): Promise<string | undefined> {
  const target = await deps.files.readLink(deps.places.executableLink);
  const there = target !== undefined && (await deps.files.stat(target)) !== undefined;
  return there ? target : undefined;
}

/** The one before, if it is still there. */
export async function previousExecutable(deps: Deps): Promise<string | undefined> {
  const path = (await deps.files.readText(deps.places.previousExecutableFile))?.trim();
  const there = path !== undefined && (await deps.files.stat(path)) !== undefined;
  return there ? path : undefined;
}

async function copy(deps: Deps, from: string, to: string): Promise<void> {
  const [place, move] = copying(from, to);
  const result = await deps.exec.run(place, { timeoutMs: COPY_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    await deps.files.remove(`${to}.partial`);
    throw (
      diskFull(result.stderr, 'place the executable', to) ??
      new AgentError('FILE_ACCESS', `Cannot place ${to}: ${result.stderr}`, {
        hint: 'Check the permissions, then run the same command again',
      })
    );
  }
  await deps.exec.run(move, { timeoutMs: COPY_TIMEOUT_MS });
}

function copying(from: string, to: string): readonly [Command, Command] {
  return [
    ['install', '-m', '0755', from, `${to}.partial`],
    ['mv', `${to}.partial`, to],
  ];
}
