/** When a server begins to share its commands, and when another one may be let to the session. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { ClusterMemory } from '../../src/commands/memory/cluster.ts';
import { clusterMemory } from '../../src/commands/memory/cluster.ts';
import { commandMemory, serversToTell } from '../../src/daemon/command-memory.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { memoryLog } from '../support/memory-log.ts';
import { type CallFate, type MemoryCluster, memoryCluster } from '../support/memory-objects.ts';
import { commandOf, type OpenJournal, openJournal } from '../support/open-journal.ts';
import { until } from '../support/until.ts';

let cluster: MemoryCluster;
let open: OpenJournal;
let memory: ClusterMemory;
let stop: AbortController;
let fate: CallFate;
let servers: readonly string[] | undefined;
let isAlone: boolean;
let told: () => readonly string[] | undefined;
let done: Promise<void> | undefined;

beforeEach(() => {
  cluster = memoryCluster();
  open = openJournal();
  stop = new AbortController();
  fate = 'answered';
  servers = ['one'];
  isAlone = true;
  memory = clusterMemory({
    clock: open.clock,
    random: systemRandom,
    log: memoryLog(),
    journal: open.journal,
    objects: cluster.through(async () => fate),
  });
  const { isShared } = memory;
  told = serversToTell({ isShared, isAlone: () => isAlone, servers: () => servers }, 'one');
});
afterEach(async () => {
  stop.abort();
  await done;
  open[Symbol.dispose]();
});

async function start(): Promise<void> {
  const deps = { clock: open.clock, memory, isAlone: () => isAlone, servers: () => servers };
  ({ done } = await commandMemory(deps).start(stop.signal));
}

async function oneLook(): Promise<void> {
  await open.clock.whenSleeping(2);
  open.clock.advance(1_000);
}

test('an only server keeps its commands to itself, also while the API is down', async () => {
  fate = 'not done';
  await start();
  expect(await memory.journal.accept(commandOf('c1'))).toBe('accepted');
  await oneLook();
  expect([memory.isShared(), told(), cluster.names('command')]).toEqual([false, ['one'], []]);
});

test('the election hears of a second server only when the cluster knows all commands', async () => {
  await start();
  await memory.journal.accept(commandOf('c1'));
  fate = 'not done';
  servers = ['one', 'two'];
  await oneLook();
  await oneLook();
  expect([memory.isShared(), told()]).toEqual([false, ['one']]);
  // Meanwhile nothing comes in that another server would not know of.
  await expect(memory.journal.accept(commandOf('c2'))).rejects.toThrow('The cluster cannot note');
  fate = 'answered';
  await oneLook();
  await until('it is shared', () => memory.isShared());
  expect([told(), cluster.names('command').length]).toEqual([['one', 'two'], 1]);
});

test('among several servers it begins only when it knows what the others have done', async () => {
  isAlone = false;
  servers = ['one', 'two'];
  fate = 'not done';
  let hasStarted = false;
  const started = start().then(() => {
    hasStarted = true;
  });
  await open.clock.whenSleeping(1);
  expect([hasStarted, told()]).toEqual([false, ['one', 'two']]);
  fate = 'answered';
  open.clock.advance(1_000);
  await started;
  expect(memory.isShared()).toBe(true);
});

test('the last server keeps its commands to itself again, once nobody else may have the session', async () => {
  isAlone = false;
  servers = ['one', 'two'];
  await start();
  servers = ['one'];
  await oneLook();
  await open.clock.whenSleeping(2);
  expect(memory.isShared()).toBe(true);
  isAlone = true;
  await oneLook();
  await until('it is alone', () => !memory.isShared());
  await memory.journal.accept(commandOf('c1'));
  expect(cluster.names('command')).toEqual([]);
  // Nodes that are not known are no reason for either.
  servers = undefined;
  await oneLook();
  expect(memory.isShared()).toBe(false);
});

test('says why it must not have the session where the memory is closed to it', async () => {
  expect(await memory.obstacle()).toBe(undefined);
  fate = 'not done';
  await expect(memory.obstacle()).rejects.toThrow('not done');
});
