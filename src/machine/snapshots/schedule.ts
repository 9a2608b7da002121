/** What the timer runs: a snapshot when one is due, its copies, what is too old, and now and then a check. */
import { type Config, durationMs } from '../../config/schema.ts';
import { AgentError, expectedError } from '../../core/errors.ts';
import { SnapshotState } from '../../protocol/files/snapshot.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { checkSnapshot } from './check.ts';
import { type CopyPlace, copyPlaces } from './copies.ts';
import { createSnapshot } from './create.ts';
import { datastoreHere } from './datastore.ts';
import { removeExpired, retentionOf } from './expire.ts';
import { ownSnapshots } from './own.ts';
import { expired, isOfFuture, type SnapshotEntry } from './shelf.ts';
import { whoseHere } from './whose.ts';

/** The timer comes once an hour and a little: what is nearly due is due. */
const NEARLY_MS = 15 * 60_000;
const CHECK_EVERY_MS = 30 * 24 * 3_600_000;

export interface ScheduleRun {
  /** What was done, for people. */
  readonly done: readonly string[];
  /** What was not: each is tried again in the next run. */
  readonly problems: readonly AgentError[];
}

/**
 * Does all of it that can be done; what fails keeps nothing else from its turn. How it went stands in a
 * file that `doctor` reads.
 * @throws AgentError CONFIG_INVALID, FILE_ACCESS, DISK_FULL
 */
export async function runSchedule(context: MachineContext): Promise<ScheduleRun> {
  const { config } = await loadEffectiveConfig(context, {});
  const unfit = await datastoreHere(context).then(() => undefined, expectedError);
  if (unfit !== undefined) {
    return { done: [`Nothing to do: ${unfit.message}`], problems: [] };
  }
  const run = attempts();
  const before = await stateBefore(context);
  await run.attempt('a snapshot', () => makeIfDue(context, config));
  await run.attempt('what is too old', async () =>
    (await removeExpired(context)).map((name) => `Deleted ${name}`),
  );
  await run.attempt('copies', async () => {
    const places = await copyPlaces(context, config, await whoseHere(context));
    for (const place of places) {
      await run.attempt(`copies to ${place.title}`, () => copyTo(context, config, place));
    }
    return [];
  });
  let checkedAt = before?.checked_at ?? null;
  await run.attempt('the check', async () => {
    const checked = await checkIfDue(context, checkedAt);
    checkedAt = checked === undefined ? checkedAt : context.clock.now().toISOString();
    return checked === undefined ? [] : [`${checked.name} can be restored`];
  });
  await noteState(context, checkedAt, run.problems);
  return { done: run.done, problems: run.problems };
}

function attempts() {
  const done: string[] = [];
  const problems: AgentError[] = [];
  return {
    done,
    problems,
    attempt: async (what: string, work: () => Promise<readonly string[]>) => {
      try {
        done.push(...(await work()));
      } catch (thrown) {
        const { code, message, hint } = expectedError(thrown);
        problems.push(
          new AgentError(code, `${what}: ${message}`, { hint: hint ?? 'Run it again' }),
        );
      }
    },
  };
}

async function makeIfDue(
  context: MachineContext,
  { snapshots }: Config,
): Promise<readonly string[]> {
  if (snapshots.every === 'never') {
    return [];
  }
  const now = context.clock.now();
  const newest = newestOfSchedule(await ownSnapshots(context), now);
  const everyMs = durationMs(snapshots.every) - NEARLY_MS;
  if (newest !== undefined && now.getTime() - Date.parse(newest.created) < everyMs) {
    return [];
  }
  const made = await createSnapshot(context, { name: undefined, kind: 'scheduled' });
  return [`Made ${made.name}`];
}

function newestOfSchedule(entries: readonly SnapshotEntry[], now: Date): SnapshotEntry | undefined {
  return entries.find((entry) => entry.kind === 'scheduled' && !isOfFuture(entry, now));
}

async function copyTo(
  context: MachineContext,
  config: Config,
  place: CopyPlace,
): Promise<readonly string[]> {
  const there = await place.list();
  const missing = (await ownSnapshots(context)).filter(
    ({ name }) => !there.some((copy) => copy.name === name),
  );
  for (const { name, path } of missing) {
    await place.put(name, path);
  }
  const gone = expired(await place.list(), retentionOf(config), context.clock.now());
  for (const copy of gone) {
    await place.remove(copy);
  }
  return [
    ...missing.map(({ name }) => `Copied ${name} to ${place.title}`),
    ...gone.map(({ name }) => `Deleted ${name} in ${place.title}`),
  ];
}

async function checkIfDue(
  context: MachineContext,
  checkedAt: string | null,
): Promise<SnapshotEntry | undefined> {
  const now = context.clock.now();
  const entries = await ownSnapshots(context);
  const newest = entries.find((entry) => !isOfFuture(entry, now)) ?? entries[0];
  const ageMs =
    checkedAt === null ? Number.POSITIVE_INFINITY : now.getTime() - Date.parse(checkedAt);
  // A check of the future: the clock was put back since.
  if (newest === undefined || (ageMs >= 0 && ageMs < CHECK_EVERY_MS)) {
    return undefined;
  }
  await checkSnapshot(context, newest.path);
  return newest;
}

async function stateBefore({ files, places }: MachineContext): Promise<SnapshotState | undefined> {
  const text = await files.readText(places.snapshotStateFile);
  try {
    return SnapshotState.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}

async function noteState(
  context: MachineContext,
  checkedAt: string | null,
  problems: readonly AgentError[],
): Promise<void> {
  const { clock, files, places } = context;
  const now = clock.now();
  const made = newestOfSchedule(await ownSnapshots(context), now);
  const state: SnapshotState = {
    v: 1,
    ran_at: now.toISOString(),
    made_at: made?.created ?? null,
    checked_at: checkedAt,
    problems: problems.map(({ message }) => message),
  };
  await files.claimDirectory(places.snapshotsDirectory, { mode: 0o700, owner: 'root:root' });
  const text = `${JSON.stringify(state, null, 2)}\n`;
  await files.writeAtomic(places.snapshotStateFile, text, { mode: 0o600, owner: 'root:root' });
}
