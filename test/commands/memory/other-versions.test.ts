/** Servers of different versions have one memory, while a cluster is upgraded and after it was taken back. */
import { expect, test } from 'bun:test';
import * as z from 'zod';
import { clusterMemory } from '../../../src/commands/memory/cluster.ts';
import { recordName } from '../../../src/commands/memory/records.ts';
import type { MemoryKind } from '../../../src/kubernetes/memory/objects.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import type { CommandJournal } from '../../../src/store/journal/commands.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { memoryCluster } from '../../support/memory-objects.ts';
import { commandOf, openJournal, resultOf } from '../../support/open-journal.ts';
import { until } from '../../support/until.ts';

const timestamp = z.iso.datetime({ offset: true });
/** How a result was read when results had no trace. */
const EARLIER_RESULT = z.strictObject({
  success: z.boolean(),
  output: z.string(),
  error: z.string().optional(),
  error_code: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
  metadata: z.strictObject({
    attempts: z.int().min(0),
    started_at: timestamp.nullable(),
    finished_at: timestamp,
    duration_ms: z.number().min(0),
    truncated: z.boolean(),
  }),
  timestamp,
});
const EARLIER_DELIVERED = z.looseObject({
  id: z.string().min(1),
  type: z.string().min(1),
  result: EARLIER_RESULT,
});

const traced = (output: string) => ({ ...resultOf(output), traceparent: `00-${'a'.repeat(55)}` });

/** A server of this version, that has begun to hold the session. */
async function holder(
  cluster: ReturnType<typeof memoryCluster>,
  open: ReturnType<typeof openJournal>,
  from: 'others' | 'alone' = 'others',
) {
  const { clock, journal } = open;
  const deps = { clock, random: systemRandom, log: memoryLog(), journal };
  const memory = clusterMemory({ ...deps, objects: cluster.through() });
  expect(await memory.share(from, new AbortController().signal)).toBe(true);
  return memory;
}

async function finish(journal: CommandJournal, id: string, result = traced(id)): Promise<void> {
  await journal.accept(commandOf(id));
  await journal.begin(id);
  await journal.finish(id, result);
}

/** The lines of a value of all objects of a kind. */
async function linesIn(
  cluster: ReturnType<typeof memoryCluster>,
  kind: MemoryKind,
  value: string,
): Promise<readonly unknown[]> {
  const objects = cluster.through();
  const lines: unknown[] = [];
  await objects.each(kind, async (object) => {
    lines.push(...((await objects.read(object, value)) ?? []).map((line) => JSON.parse(line)));
  });
  return lines;
}

test('servers of before traces read all results that this version leaves to them', async () => {
  const cluster = memoryCluster();
  using open = openJournal();
  await finish(open.journal, 'of before');
  const memory = await holder(cluster, open, 'alone');
  const stop = new AbortController();
  void memory.keepUp(stop.signal);
  await finish(memory.journal, 'short');
  await finish(memory.journal, 'long', traced('x'.repeat(2_000)));
  const results = await linesIn(cluster, 'command', 'result');
  expect(results.map((result) => EARLIER_RESULT.safeParse(result).error)).toEqual(
    results.map(() => undefined),
  );
  expect(results).toHaveLength(3);

  for (const id of ['of before', 'short', 'long']) {
    await memory.journal.delivered(id);
  }
  await until('all are noted', () => cluster.names('command').length === 0);
  stop.abort();
  const delivered = await linesIn(cluster, 'delivered', 'commands');
  expect(delivered.map((each) => EARLIER_DELIVERED.safeParse(each).data?.id).toSorted()).toEqual([
    'long',
    'of before',
    'short',
  ]);
});

test('the control plane is told the trace by the server that made it', async () => {
  using open = openJournal();
  const { journal } = await holder(memoryCluster(), open);
  await finish(journal, 'c1');
  expect(journal.pending(50)).toEqual([{ commandId: 'c1', result: traced('c1') }]);
});

test('what a newer version notes of a command counts here, and is told on', async () => {
  const cluster = memoryCluster();
  const { metadata, ...rest } = resultOf('newer');
  const result = { ...rest, metadata: { ...metadata, cost: 3 }, traceparent: 'x', more: [1] };
  await cluster.through().create('delivered', 'delivered-1', {
    head: JSON.stringify({ v: 1, number: 1, more: true }),
    values: { commands: [JSON.stringify({ id: 'taken', type: 'scale', result, more: 1 })] },
  });
  const head = { v: 1, id: 'ended', type: 'scale', position: 1, holder: 'other', attempts: 1 };
  const times = { accepted_at: metadata.finished_at, started_at: null, cancelled_at: null };
  await cluster.through().create('command', recordName('ended'), {
    head: JSON.stringify({ ...head, ...times, more: 1 }),
    values: { result: [JSON.stringify(result)] },
  });
  using open = openJournal();
  const { journal } = await holder(cluster, open);
  expect(await journal.accept(commandOf('taken'))).toBe('duplicate');
  const known = journal.pending(50).toSorted((a, b) => a.commandId.localeCompare(b.commandId));
  expect(known).toEqual([
    { commandId: 'ended', result },
    { commandId: 'taken', result },
  ]);
});
