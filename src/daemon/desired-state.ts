/**
 * Desired state: the manifests that root has put into a directory of this server, kept as they are written. Without the
 * directory nothing is done, and nothing is removed either.
 */

import type { KeepContext, KeepProblem, SeenObjects } from '../commands/apply/kept.ts';
import type { CommandDeps } from '../commands/engine/handler.ts';
import { msUntilBeat } from '../core/beat.ts';
import { AgentError, expectedError } from '../core/errors.ts';
import type { FileStat, Files, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import {
  KEPT_OBJECTS_LIMIT_BYTES,
  type KeptObject,
  KeptObjects,
} from '../protocol/files/kept-objects.ts';
import type { DaemonPaths } from './paths.ts';

/** How soon a changed file and an object that has drifted are seen. */
export const DESIRED_LOOK_MS = 30_000;
/** Of the directory; of each file, and of all. */
export const DESIRED_FILES_MAX = 50;
const FILE_BYTES_MAX = 1024 * 1024;
const ALL_BYTES_MAX = 8 * 1024 * 1024;
const MANIFEST = /^[^.].*\.(ya?ml|json)$/;
const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;
const SECRET_MODE = 0o600;

/** As it was at the last look. */
export interface DesiredFacts {
  readonly files: number;
  readonly objects: number;
  readonly lookedAt: Date;
  /** Objects that were brought back or removed since the start of the daemon. */
  readonly changes: number;
  readonly problems: readonly KeepProblem[];
}

export interface DesiredState extends Service {
  /** Undefined where root wants nothing kept, and before the first look. */
  facts(): DesiredFacts | undefined;
}

type Deps = Pick<CommandDeps, 'clock' | 'kubernetes' | 'workElsewhere' | 'policy' | 'node'> & {
  readonly files: Files;
  readonly log: Log;
};
type Paths = Pick<DaemonPaths, 'desired' | 'keptObjects'>;

/** @param owner of files that count: root's id */
export function desiredState(deps: Deps, paths: Paths, owner = ROOT): DesiredState {
  let facts: DesiredFacts | undefined;
  let changes = 0;
  const seen: SeenObjects = new Map();
  return {
    name: 'desired-state',
    facts: () => facts,
    start: async (signal) => ({
      done: (async () => {
        do {
          try {
            const found = await look({ ...deps, signal }, paths, owner, seen);
            changes += found?.changes ?? 0;
            facts = found && { ...found, changes };
          } catch (thrown) {
            const error = expectedError(thrown);
            facts = signal.aborted ? facts : failedLook(deps, facts, error);
          }
        } while (await deps.clock.sleep(msUntilBeat(deps.clock, DESIRED_LOOK_MS), signal));
      })(),
    }),
  };
}

function failedLook(
  { clock }: Deps,
  facts: DesiredFacts | undefined,
  { code, message }: AgentError,
): DesiredFacts {
  const { files, objects, changes } = facts ?? { files: 0, objects: 0, changes: 0 };
  const problems = [{ about: 'the directory', code, message }];
  return { files, objects, changes, problems, lookedAt: clock.now() };
}

type LookDeps = Deps & KeepContext;

/** @returns undefined where the directory is not there. @throws AgentError FILE_ACCESS, DISK_FULL */
async function look(
  deps: LookDeps,
  paths: Paths,
  owner: number,
  seen: SeenObjects,
): Promise<DesiredFacts | undefined> {
  const directory = await deps.files.stat(paths.desired);
  if (directory === undefined) {
    return undefined;
  }
  if (!isOnlyOf(owner, 'directory', directory)) {
    // Who may write to it can put another file of root's in a file's place, or take files away.
    throw unusable("it must be a directory of root's, no link, that nobody else can write to");
  }
  // Most servers have no such directory, and never load this.
  const { bringBack, keptOf, keyOf, planKept, removeUnwanted } = await import(
    '../commands/apply/kept.ts'
  );
  const read = await readManifests(deps, paths.desired, owner);
  const plan = await planKept(deps, read.manifests);
  const wanted = plan.objects.map(keptOf);
  const before = await readKept(deps.files, paths.keptObjects);
  const keys = new Set(wanted.map(keyOf));
  const unwanted = before.filter((object) => !keys.has(keyOf(object)));
  // Noted first: what a process that was killed has brought is removed later all the same.
  const note = noteOfKept(deps.files, paths.keptObjects, keyOf);
  await note(before, [...wanted, ...unwanted]);
  const { changed, problems } = await bringBack(deps, plan.objects, seen);
  const all = [...read.problems, ...plan.problems, ...problems];
  // Where something cannot be read, nobody knows what root wants no more.
  const { removed, left } =
    all.length > 0 ? { removed: [], left: unwanted } : await removeUnwanted(deps, unwanted);
  await note([...wanted, ...unwanted], [...wanted, ...left]);
  for (const key of seen.keys()) {
    if (!keys.has(key)) {
      seen.delete(key);
    }
  }
  for (const [message, objects] of [
    ['brought objects to their desired state', changed],
    ['removed objects that are desired no more', removed],
  ] as const) {
    if (objects.length > 0) {
      deps.log.info(message, { count: objects.length, first: objects[0] });
    }
  }
  return {
    files: read.manifests.length,
    objects: wanted.length,
    lookedAt: deps.clock.now(),
    changes: changed.length + removed.length,
    problems: all,
  };
}

async function readManifests({ files }: LookDeps, directory: string, owner: number) {
  const manifests: { file: string; text: string }[] = [];
  const problems: KeepProblem[] = [];
  let left = ALL_BYTES_MAX;
  for (const file of (await files.list(directory)).filter((name) => MANIFEST.test(name))) {
    const path = `${directory}/${file}`;
    try {
      if (manifests.length === DESIRED_FILES_MAX) {
        throw unusable(`there are more than ${DESIRED_FILES_MAX} files`);
      }
      const stat = await files.stat(path);
      if (stat === undefined || !isOnlyOf(owner, 'file', stat)) {
        throw unusable("it must be a file of root's that nobody else can write to");
      }
      const text = (await files.readText(path, Math.min(FILE_BYTES_MAX, left))) ?? '';
      left -= Buffer.byteLength(text);
      manifests.push({ file, text });
    } catch (thrown) {
      const { code, message } = expectedError(thrown);
      problems.push({ about: file, code, message });
    }
  }
  return { manifests, problems };
}

function isOnlyOf(owner: number, kind: FileStat['kind'], stat: FileStat): boolean {
  return stat.kind === kind && stat.uid === owner && (stat.mode & WRITABLE_BY_OTHERS) === 0;
}

function unusable(message: string): AgentError {
  return new AgentError('FILE_ACCESS', message, { hint: 'See docs/DESIRED.md' });
}

/** One that is damaged is none: then what it had stays in the cluster. */
async function readKept(files: Files, path: string): Promise<readonly KeptObject[]> {
  const text = await files.readText(path, KEPT_OBJECTS_LIMIT_BYTES);
  try {
    return KeptObjects.safeParse(JSON.parse(text ?? '')).data?.objects ?? [];
  } catch {
    return [];
  }
}

/** Writes what is kept now, where that is not what was noted before. */
function noteOfKept(files: Files, path: string, keyOf: (object: KeptObject) => string) {
  return async (before: readonly KeptObject[], objects: readonly KeptObject[]): Promise<void> => {
    if (Bun.deepEquals(new Set(before.map(keyOf)), new Set(objects.map(keyOf)))) {
      return;
    }
    const content: KeptObjects = { v: 1, objects: [...objects] };
    await files.writeAtomic(path, `${JSON.stringify(content)}\n`, { mode: SECRET_MODE });
  };
}
