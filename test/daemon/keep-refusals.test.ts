/** Refusals on the disk: what a restart keeps, and what somebody who is refused without end can cost. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { bell } from '../../src/core/bell.ts';
import { AgentError } from '../../src/core/errors.ts';
import { KEEP_REFUSALS_EVERY_MS, keepRefusals } from '../../src/daemon/keep-refusals.ts';
import { REFUSALS_MAX, rememberedRefusals } from '../../src/policy/refusals.ts';
import type { RefusalRow } from '../../src/protocol/local-policy.ts';
import { openDatabase } from '../../src/store/database.ts';
import { keptRefusals, REFUSALS_KEPT_CHARS_MAX } from '../../src/store/refusals.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const REFUSED = { allowed: false, rule: 'standard/exec', reason: 'Nobody may' } as const;

let clock: ManualClock;
let directory: TempDirectory;
let path: string;
let database: ReturnType<typeof openDatabase>['database'];
let stop: AbortController;
beforeEach(async () => {
  clock = manualClock();
  directory = await tempDirectory();
  path = join(directory.path, 'agent.db');
  database = openDatabase({ clock }, path).database;
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  database.close();
  await directory[Symbol.asyncDispose]();
});

/** A start of the agent. @param write what becomes of each write */
async function started(write = (rows: readonly RefusalRow[]) => kept().write(rows)) {
  const refusing = bell();
  const refused = rememberedRefusals({ clock }, kept().read(), refusing.ring);
  const log = memoryLog();
  const deps = { clock, log, refused, refusing, kept: { write } };
  const { done } = await keepRefusals(deps).start(stop.signal);
  return { refused, log, done };
}

const kept = () => keptRefusals(database, path);
const keptTexts = () =>
  kept()
    .read()
    .map(({ about }) => about);

test('a refusal is kept at once, and counts on after a restart', async () => {
  const { refused, done } = await started();
  refused.note('command', 'exec in default', REFUSED);
  await until('it is on the disk', () => kept().read().length === 1);
  stop.abort();
  await done;
  const [first] = refused.rows();

  stop = new AbortController();
  clock.advance(60_000);
  const again = await started();
  expect(again.refused.rows()).toEqual(refused.rows());
  again.refused.note('command', 'exec in default', REFUSED);
  const last_at = clock.now().toISOString();
  expect(again.refused.rows()).toEqual([{ ...first, last_at, times: 2 } as RefusalRow]);
});

test('many are written together, twice a minute, and the last ones at the stop', async () => {
  const written: number[] = [];
  const { refused, done } = await started((rows) => void written.push(rows.length));
  const refuse = () => refused.note('request', `GET /${refused.rows().length}`, REFUSED);
  refuse();
  await clock.whenSleeping(1);
  for (let times = 0; times < 5; times += 1) {
    refuse();
  }
  expect(clock.remainingMs()).toEqual([KEEP_REFUSALS_EVERY_MS]);
  clock.advance(KEEP_REFUSALS_EVERY_MS);
  await clock.whenSleeping(1);
  refuse();
  stop.abort();
  await done;
  expect(written).toEqual([1, 6, 7]);
});

test('nothing is written while nothing is refused', async () => {
  const written: unknown[] = [];
  const { done } = await started((rows) => void written.push(rows));
  stop.abort();
  await done;
  expect(written).toEqual([]);
});

test('what does not fit on a full disk is written later', async () => {
  let isFull = true;
  const { refused, log } = await started((rows) => {
    if (isFull) {
      throw new AgentError('DISK_FULL', 'no space left', { hint: 'Free some' });
    }
    kept().write(rows);
  });
  refused.note('request', 'GET /', REFUSED);
  await clock.whenSleeping(1);
  expect(log.entries.map(({ fields }) => fields?.['error_code'])).toEqual(['DISK_FULL']);
  isFull = false;
  clock.advance(KEEP_REFUSALS_EVERY_MS);
  await until('it is on the disk', () => keptTexts().length === 1);
  expect(keptTexts()).toEqual(['GET /']);
});

test('what is not the disk ends the agent', async () => {
  const { refused, done } = await started(() => {
    throw new Error('a bug');
  });
  refused.note('request', 'GET /', REFUSED);
  expect(await done.catch((thrown: Error) => thrown.message)).toBe('a bug');
});

test('the longest refusals fill no more than a limit: the newest are kept', () => {
  const worst = '\u0001'.repeat(300); // Six characters each as JSON.
  const refused = rememberedRefusals({ clock });
  for (let index = 0; index < REFUSALS_MAX; index += 1) {
    refused.note('request', `${index} ${worst}`, { ...REFUSED, reason: worst });
  }
  kept().write(refused.rows());
  const row = database.query("SELECT length(value) AS chars FROM identity WHERE name = 'refusals'");
  const { chars } = row.get() as { readonly chars: number };
  expect(chars).toBeLessThanOrEqual(REFUSALS_KEPT_CHARS_MAX);
  expect(chars).toBeGreaterThan(REFUSALS_KEPT_CHARS_MAX - 5_000);
  const texts = keptTexts();
  expect(texts).toEqual(
    refused
      .rows()
      .slice(0, texts.length)
      .map(({ about }) => about),
  );
});

test.each([
  ['no JSON', '{'],
  ['another form', '{"v":2}'],
])('what was kept as %s is none', (_, text) => {
  database.run("INSERT INTO identity (name, value) VALUES ('refusals', ?)", [text]);
  expect(kept().read()).toEqual([]);
});
