/**
 * The measured process of `command-load.ts`: 1 000 queued commands on the real journal and executor.
 * Prints a CommandLoadReport.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { commandExecutor } from '../../../src/commands/engine/executor.ts';
import { commandHandler } from '../../../src/commands/engine/handler.ts';
import { commandProgress } from '../../../src/commands/engine/progress.ts';
import { systemClock as clock } from '../../../src/platform/clock.ts';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { commandJournal } from '../../../src/store/journal/commands.ts';
import { memoryLog } from '../../../test/support/memory-log.ts';
import { unusedCommandDeps } from '../../../test/support/unused-command-deps.ts';

const COMMANDS = 1_000;
/** What a fast command takes to reach Kubernetes and back. */
const WORK_MS = 5;
const HEARTBEAT_MS = 20;

export interface CommandLoadReport {
  readonly perSecond: number;
  /** Of the latest heartbeat. */
  readonly lateMs: number;
  readonly commitP50Ms: number;
  readonly commitP99Ms: number;
  readonly commitMaxMs: number;
  /** At the end, MiB. */
  readonly rssMib: number;
}

async function measure(): Promise<CommandLoadReport> {
  const directory = mkdtempSync(join(tmpdir(), 'command-load-'));
  const { database } = openDatabase({ clock }, join(directory, 'agent.db'));
  const journal = commandJournal({ database, clock, runSoon: systemRunSoon });
  const handler = commandHandler({
    type: 'work',
    payload: z.looseObject({ lane: z.string() }),
    data: z.strictObject({}),
    lane: ({ lane }) => lane,
    priority: 'normal',
    timeoutMs: () => 60_000,
    afterRestart: 'rerun',
    run: async (_, { signal }) => {
      await clock.sleep(WORK_MS, signal);
      return { output: 'done\n', data: {} };
    },
  });
  const executor = commandExecutor({
    ended: () => undefined,
    ...unusedCommandDeps(),
    clock,
    journal,
    log: memoryLog(),
    progress: commandProgress({ clock }),
    loadHandlers: async () => [handler],
  });
  const stop = new AbortController();
  const { done } = await executor.start(stop.signal);
  const late = heartbeats(stop.signal);
  const startedAt = clock.monotonic();
  await Promise.all(
    Array.from({ length: COMMANDS }, (_, index) =>
      journal.accept({ id: `c${index}`, type: 'work', payload: { lane: `lane-${index % 50}` } }),
    ),
  );
  let taken = 0;
  while (taken < COMMANDS) {
    const pending = journal.pending(50);
    await Promise.all(pending.map(({ commandId }) => journal.delivered(commandId)));
    taken += pending.length;
    if (pending.length === 0) {
      await journal.whenPending(stop.signal);
    }
  }
  const seconds = (clock.monotonic() - startedAt) / 1_000;
  const rssMib = process.memoryUsage.rss() / 2 ** 20;
  const commits = journal.commitTimes();
  stop.abort();
  await done;
  const lateMs = await late;
  database.close();
  rmSync(directory, { recursive: true });
  return {
    perSecond: COMMANDS / seconds,
    lateMs,
    rssMib,
    commitP50Ms: commits.p50Ms,
    commitP99Ms: commits.p99Ms,
    commitMaxMs: commits.maxMs,
  };
}

/** @returns how late the latest one was, when the signal has aborted */
async function heartbeats(signal: AbortSignal): Promise<number> {
  let latestMs = 0;
  let dueAt = clock.monotonic() + HEARTBEAT_MS;
  while (await clock.sleep(HEARTBEAT_MS, signal)) {
    latestMs = Math.max(latestMs, clock.monotonic() - dueAt);
    dueAt = clock.monotonic() + HEARTBEAT_MS;
  }
  return latestMs;
}

console.log(JSON.stringify(await measure()));
