/** What the servers of a cluster know of each other's commands, and what that costs. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type ClusterMemory, clusterMemory } from '../../../src/commands/memory/cluster.ts';
import { LIST_COMMANDS_MAX, LISTS_MAX } from '../../../src/commands/memory/delivered.ts';
import { RECORD_BYTES_MAX, RECORDS_MAX, recordName } from '../../../src/commands/memory/records.ts';
import type { RunSoon } from '../../../src/core/ports.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import type { CommandJournal } from '../../../src/store/journal/commands.ts';
import { PIECE_CHARS } from '../../../src/store/journal/long-texts.ts';
import { DELIVERED_KEPT_MS } from '../../../src/store/journal/pruning.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { type CallFate, type MemoryCluster, memoryCluster } from '../../support/memory-objects.ts';
import { commandOf, type OpenJournal, openJournal, resultOf } from '../../support/open-journal.ts';
import { until } from '../../support/until.ts';

interface Server {
  readonly open: OpenJournal;
  readonly memory: ClusterMemory;
  /** With the cluster. */
  readonly journal: CommandJournal;
  /** Calls of the memory so far. */
  readonly calls: string[];
}

let cluster: MemoryCluster;
let servers: Server[];
let stop: AbortController;
/** What becomes of each call. */
let fate: (call: string) => CallFate;
beforeEach(() => {
  cluster = memoryCluster();
  servers = [];
  stop = new AbortController();
  fate = () => 'answered';
});
afterEach(() => {
  stop.abort();
  for (const { open } of servers) {
    open[Symbol.dispose]();
  }
});

function server(runSoon?: RunSoon): Server {
  const open = openJournal(':memory:', runSoon);
  const calls: string[] = [];
  const gate = async (call: string) => {
    calls.push(call);
    return fate(call);
  };
  const memory = clusterMemory({
    clock: open.clock,
    random: systemRandom,
    log: memoryLog(),
    journal: open.journal,
    objects: cluster.through(gate),
  });
  const made = { open, memory, journal: memory.journal, calls };
  servers.push(made);
  return made;
}

/** One that has just begun to hold the session. */
async function holder(from: 'others' | 'alone' = 'others', again = server()): Promise<Server> {
  expect(await again.memory.share(from, stop.signal)).toBe(true);
  again.calls.length = 0;
  return again;
}

function keepUp({ memory }: Server): void {
  void memory.keepUp(stop.signal);
}

async function run(journal: CommandJournal, id: string, output = id): Promise<void> {
  await journal.accept(commandOf(id));
  await journal.begin(id);
  await journal.finish(id, resultOf(output));
}

const pending = ({ journal }: Server) => journal.pending(50);
const verbs = ({ calls }: Server) => calls.map((call) => call.replace(/ [0-9a-f]{32}$/, ''));

describe('the next server', () => {
  test('goes on with a command as it was accepted, begun, noted and cancelled', async () => {
    const first = await holder();
    for (const id of ['waits', 'runs', 'cancelled']) {
      await first.journal.accept(commandOf(id));
    }
    await first.journal.begin('runs');
    await first.journal.checkpoint('runs', { target: 7 });
    await first.journal.cancel('cancelled');

    const second = await holder();
    const seen = ['waits', 'runs', 'cancelled'].map((id) => second.journal.find(id));
    expect(seen.map((entry) => entry?.sequence)).toEqual([1, 2, 3]);
    expect(
      seen.map((entry) => [entry?.command, entry?.state, entry?.attempts, entry?.cancelled]),
    ).toEqual([
      [commandOf('waits'), 'accepted', 0, false],
      [commandOf('runs'), 'running', 1, false],
      [commandOf('cancelled'), 'accepted', 0, true],
    ]);
    expect(seen[1]?.checkpoint).toEqual({ target: 7 });
    expect(await second.journal.begin('runs')).toBe(2);
  });

  test('sends a result that nobody has taken, and knows a command whose result was', async () => {
    const first = await holder();
    keepUp(first);
    await run(first.journal, 'taken');
    await first.journal.delivered('taken');
    await until('it is noted', () => cluster.names('delivered').length === 1);
    await run(first.journal, 'not-taken');

    const second = await holder();
    expect(pending(second)).toEqual([{ commandId: 'not-taken', result: resultOf('not-taken') }]);
    expect(await second.journal.accept(commandOf('taken'))).toBe('duplicate');
    // The control plane asks for it again.
    expect(pending(second)).toContainEqual({ commandId: 'taken', result: resultOf('taken') });
    expect(second.journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 2 });
  });

  test('tells of a long result that was taken only how it ended', async () => {
    const first = await holder();
    keepUp(first);
    const long = 'x'.repeat(2_000);
    await run(first.journal, 'long', long);
    await first.journal.delivered('long');
    await until('it is noted', () => cluster.names('command').length === 0);
    const second = await holder();
    await second.journal.accept(commandOf('long'));
    const { metadata } = resultOf(long);
    expect(pending(second)).toEqual([
      {
        commandId: 'long',
        result: { ...resultOf(''), metadata: { ...metadata, truncated: true } },
      },
    ]);
  });

  test('has the whole of a long command', async () => {
    const manifest = 'a: "ä"\n'.repeat(PIECE_CHARS / 4);
    const long = commandOf('long', { type: 'apply', payload: { manifest } });
    await (await holder()).journal.accept(long);
    const { journal } = await holder();
    const entry = journal.nextOpen(0);
    expect(entry === undefined ? undefined : (await journal.whole(entry)).command).toEqual(long);
  });

  test('waits until the cluster tells what it knows', async () => {
    await (await holder()).journal.accept(commandOf('c1'));
    let refusals = 3;
    fate = () => (refusals-- > 0 ? 'not done' : 'answered');
    const second = server();
    const shared = second.memory.share('others', stop.signal);
    for (let round = 0; round < 3; round += 1) {
      await second.open.clock.whenSleeping(1);
      expect(second.memory.isShared()).toBe(false);
      second.open.clock.advance(1_000);
    }
    expect(await shared).toBe(true);
    expect(second.journal.find('c1')?.state).toBe('accepted');
  });

  test('does not wait any longer than it is asked to', async () => {
    fate = () => 'not done';
    const second = server();
    const shared = second.memory.share('others', stop.signal);
    await second.open.clock.whenSleeping(1);
    stop.abort();
    expect(await shared).toBe(false);
  });
});

describe('a server that comes back', () => {
  test('neither runs nor sends what another one has finished', async () => {
    const first = await holder();
    for (const id of ['a', 'b', 'c']) {
      await first.journal.accept(commandOf(id));
    }
    await first.journal.begin('a');
    await first.journal.finish('c', resultOf('of the first'));

    const second = await holder();
    keepUp(second);
    for (const id of ['a', 'b']) {
      await second.journal.begin(id);
      await second.journal.finish(id, resultOf('of the second'));
    }
    for (const id of ['a', 'c']) {
      await second.journal.delivered(id);
    }
    await until('both are noted', () => cluster.names('command').length === 1);

    await holder('others', first);
    expect(first.journal.nextOpen(0)).toBe(undefined);
    expect(pending(first)).toEqual([{ commandId: 'b', result: resultOf('of the second') }]);
  });

  test('can change nothing of a command that another one has taken over', async () => {
    const first = await holder();
    await first.journal.accept(commandOf('c1'));
    const second = await holder();
    const late = [
      () => first.journal.begin('c1'),
      () => first.journal.checkpoint('c1', 1),
      () => first.journal.cancel('c1'),
      () => first.journal.finish('c1', resultOf('late')),
    ];
    for (const change of late) {
      expect((await failureOf(change)).message).toMatch(/^Another server has taken over/);
    }
    expect(first.open.journal.find('c1')).toMatchObject({ state: 'accepted', cancelled: false });
    expect(await second.journal.begin('c1')).toBe(1);
  });

  test('answers a command whose record is gone, because nobody knows what became of it', async () => {
    const first = await holder();
    await first.journal.accept(commandOf('c1'));
    cluster.remove(recordName('c1'));
    await holder('others', first);
    expect(pending(first).map(({ commandId, result }) => [commandId, result.error_code])).toEqual([
      ['c1', 'COMMAND_OUTCOME_UNKNOWN'],
    ]);
    // The answer is the same whoever sends it.
    expect(pending(await holder())).toEqual(pending(first));
  });

  test('answers a command whose record is damaged, and goes on with the others', async () => {
    const first = await holder();
    await first.journal.accept(commandOf('damaged'));
    await first.journal.begin('damaged');
    await first.journal.accept(commandOf('whole'));
    cluster.damage(recordName('damaged'));
    const second = await holder();
    expect(second.journal.nextOpen(0)?.command).toEqual(commandOf('whole'));
    expect(pending(second)).toMatchObject([
      {
        commandId: 'damaged',
        result: { error_code: 'COMMAND_OUTCOME_UNKNOWN', metadata: { attempts: 1 } },
      },
    ]);
    // The same for the next one.
    expect(pending(await holder())).toEqual(pending(second));
  });

  test('does without a list of delivered commands that is damaged', async () => {
    const first = await holder();
    keepUp(first);
    await run(first.journal, 'taken');
    await first.journal.delivered('taken');
    await until('it is noted', () => cluster.names('command').length === 0);
    for (const name of cluster.names('delivered')) {
      cluster.damage(name);
    }
    const second = await holder();
    keepUp(second);
    await run(second.journal, 'next');
    await second.journal.delivered('next');
    await until('it is noted', () => cluster.names('command').length === 0);
    expect(await (await holder()).journal.accept(commandOf('next'))).toBe('duplicate');
  });

  test('lets a command rest whose end is forgotten by all', async () => {
    const first = await holder();
    await first.journal.accept(commandOf('c1'));
    cluster.remove(recordName('c1'));
    first.open.clock.advance(DELIVERED_KEPT_MS + 1);
    await holder('others', first);
    expect(first.journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 0 });
    expect(await first.journal.accept(commandOf('c1'))).toBe('duplicate');
  });
});

describe('an only server', () => {
  test('asks the cluster for nothing', async () => {
    const alone = server();
    await run(alone.journal, 'c1');
    await alone.journal.delivered('c1');
    await alone.journal.cancel('c2');
    expect(alone.calls).toEqual([]);
  });

  test('tells the cluster all that it knows when another one joins, also what is just coming in', async () => {
    const alone = server();
    keepUp(alone);
    await alone.journal.accept(commandOf('waits'));
    await alone.journal.accept(commandOf('runs'));
    await alone.journal.begin('runs');
    await alone.journal.checkpoint('runs', 'noted');
    await run(alone.journal, 'ended');
    await run(alone.journal, 'taken');
    await alone.journal.delivered('taken');
    const manifest = 'x'.repeat(3 * PIECE_CHARS);
    const coming = alone.journal.accept(commandOf('coming', { payload: { manifest } }));
    await holder('alone', alone);
    expect(await coming).toBe('accepted');
    // Before another server may take over.
    expect(cluster.names('delivered')).toEqual(['delivered-1']);
    // What runs goes on as the record says from here on.
    await alone.journal.finish('runs', resultOf('runs'));

    const second = await holder();
    expect(second.journal.find('waits')).toMatchObject({ state: 'accepted', attempts: 0 });
    expect(second.journal.find('coming')).toMatchObject({ state: 'accepted' });
    expect(
      pending(second)
        .map(({ commandId }) => commandId)
        .sort(),
    ).toEqual(['ended', 'runs']);
    expect(await second.journal.accept(commandOf('taken'))).toBe('duplicate');
  });

  test('tells the cluster of a command that is on its way to the disk', async () => {
    const begun = Promise.withResolvers<void>();
    /** Later than the cluster answers. */
    const slowly = (work: () => void, turnsLeft = 100): void => {
      begun.resolve();
      setImmediate(() => (turnsLeft === 0 ? work() : slowly(work, turnsLeft - 1)));
    };
    const alone = server(slowly);
    const coming = alone.journal.accept(commandOf('coming'));
    await begun.promise;
    await holder('alone', alone);
    expect(await coming).toBe('accepted');
    expect(cluster.names('command')).toEqual([recordName('coming')]);
  });

  test('is right about what it did while it was alone again', async () => {
    const first = await holder();
    for (const id of ['open', 'ended', 'taken']) {
      await first.journal.accept(commandOf(id));
    }
    first.memory.keepAlone();
    await first.journal.begin('open');
    await first.journal.checkpoint('open', 'alone');
    await first.journal.finish('ended', resultOf('alone'));
    await first.journal.finish('taken', resultOf('alone'));
    await first.journal.delivered('taken');
    expect(first.calls.filter((call) => !call.startsWith('create'))).toEqual([]);

    keepUp(await holder('alone', first));
    await until('the delivery is noted', () => cluster.names('delivered').length === 1);
    const second = await holder();
    expect(second.journal.find('open')).toMatchObject({ attempts: 1, checkpoint: 'alone' });
    expect(pending(second)).toEqual([{ commandId: 'ended', result: resultOf('alone') }]);
  });
});

test('a result that was noted, and not told before its server went on alone, is not told later', async () => {
  const first = await holder();
  await first.journal.accept(commandOf('c1'));
  await first.journal.begin('c1');
  const objects = cluster.through();
  const record = await objects.find(recordName('c1'));
  if (record === undefined) {
    throw new Error('there is no record');
  }
  const values = { result: [JSON.stringify(resultOf('noted'))] };
  await objects.change(record, { head: record.head, values });
  first.memory.keepAlone();
  await holder('alone', first);
  const second = await holder();
  expect(pending(second)).toEqual([]);
  expect(second.journal.find('c1')).toMatchObject({ state: 'running', attempts: 1 });
});

describe('what the cluster does not take', () => {
  test('is neither acknowledged, begun, noted nor told, and works later', async () => {
    const { journal } = await holder();
    await journal.accept(commandOf('c1'));
    const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['accept', () => journal.accept(commandOf('c2'))],
      ['begin', () => journal.begin('c1')],
      ['checkpoint', () => journal.checkpoint('c1', 1)],
      ['finish', () => journal.finish('c1', resultOf('c1'))],
    ];
    const { memory } = servers[0] as Server;
    expect(memory.trouble()).toBe(undefined);
    for (const lost of ['not done', 'answer lost'] as const) {
      for (const [step, work] of steps.slice(0, 3)) {
        fate = () => lost;
        expect([step, (await failureOf(work)).code]).toEqual([step, 'MEMORY_UNREACHABLE']);
      }
    }
    expect(memory.trouble()?.code).toBe('MEMORY_UNREACHABLE');
    expect(journal.find('c1')).toMatchObject({ state: 'accepted', attempts: 0 });
    expect(journal.find('c2')).toBe(undefined);
    for (const [step, work] of steps) {
      fate = () => 'answer lost';
      expect([step, (await failureOf(work)).code]).toEqual([step, 'MEMORY_UNREACHABLE']);
      expect(pending(servers[0] as Server)).toEqual([]);
      fate = () => 'answered';
      await work();
    }
    expect(memory.trouble()).toBe(undefined);
    expect(journal.find('c2')).toMatchObject({ state: 'accepted' });
    expect(pending(servers[0] as Server)).toEqual([{ commandId: 'c1', result: resultOf('c1') }]);
    const second = await holder();
    expect(pending(second)).toEqual([{ commandId: 'c1', result: resultOf('c1') }]);
    expect(second.journal.find('c2')).toMatchObject({ state: 'accepted', attempts: 0 });
  });

  test('more commands than it keeps are answered as full, and none is left behind', async () => {
    const first = await holder();
    for (let index = 0; index < RECORDS_MAX; index += 1) {
      await first.journal.accept(commandOf(`c${index}`));
    }
    expect(await first.journal.accept(commandOf('more'))).toBe('full');
    expect(await first.journal.accept(commandOf('c0'))).toBe('duplicate');
    expect(cluster.names('command').length).toBe(RECORDS_MAX);
    await first.journal.finish('c0', resultOf('done'));
    keepUp(first);
    await first.journal.delivered('c0');
    await until('there is room', () => cluster.names('command').length < RECORDS_MAX);
    expect(await first.journal.accept(commandOf('more'))).toBe('accepted');
  });

  test('a command that the journal has no room for leaves nothing in the cluster', async () => {
    const first = await holder();
    const refusing = { ...first.open.journal, accept: async () => 'full' as const };
    const memory = clusterMemory({
      clock: first.open.clock,
      random: systemRandom,
      log: memoryLog(),
      journal: refusing,
      objects: cluster.through(),
    });
    await memory.share('others', stop.signal);
    expect(await memory.journal.accept(commandOf('c1'))).toBe('full');
    expect(cluster.names('command')).toEqual([]);
  });

  test('a result that is too much for it is kept without output and data, by all servers alike', async () => {
    const first = await holder();
    await first.journal.accept(commandOf('c1'));
    const large = resultOf('x'.repeat(RECORD_BYTES_MAX));
    await first.journal.finish('c1', large);
    const [kept] = pending(first);
    expect(kept?.result).toEqual({
      ...large,
      output: '',
      metadata: { ...large.metadata, truncated: true },
    });
    expect(pending(await holder())).toEqual([{ commandId: 'c1', result: kept?.result ?? large }]);
  });
});

test('a step of a command is one call', async () => {
  const first = await holder();
  await first.journal.accept(commandOf('c1'));
  await first.journal.begin('c1');
  await first.journal.checkpoint('c1', 1);
  await first.journal.finish('c1', resultOf('c1'));
  expect(verbs(first)).toEqual(['create', 'change', 'change', 'change']);
  // Those who ask again cost nothing.
  await first.journal.accept(commandOf('c1'));
  await first.journal.cancel('c1');
  expect(first.calls.length).toBe(4);
  keepUp(first);
  await first.journal.delivered('c1');
  await until('it is noted', () => cluster.names('command').length === 0);
  expect(verbs(first).slice(4)).toEqual(['create delivered-1', 'remove']);
});

test('as many delivered commands are known as a journal remembers, in few objects', async () => {
  const first = await holder();
  keepUp(first);
  const count = LIST_COMMANDS_MAX * (LISTS_MAX + 1);
  for (let index = 0; index < count; index += LIST_COMMANDS_MAX) {
    const ids = Array.from({ length: LIST_COMMANDS_MAX }, (_, each) => `c${index + each}`);
    await Promise.all(ids.map((id) => run(first.journal, id)));
    await Promise.all(ids.map((id) => first.journal.delivered(id)));
    await until('all are noted', () => cluster.names('command').length === 0);
  }
  expect(cluster.names('delivered').length).toBeLessThanOrEqual(LISTS_MAX);
  const second = await holder();
  expect(await second.journal.accept(commandOf(`c${count - 1}`))).toBe('duplicate');
  expect(await second.journal.accept(commandOf('c0'))).toBe('accepted');
}, 60_000);

test('what was delivered is noted before the session is given back', async () => {
  const first = await holder();
  await run(first.journal, 'c1');
  fate = () => 'not done';
  const kept = first.memory.keepUp(stop.signal);
  await first.journal.delivered('c1');
  await first.open.clock.whenSleeping(1);
  fate = () => 'answered';
  stop.abort();
  await kept;
  stop = new AbortController();
  expect(pending(await holder())).toEqual([]);
});

test('a record that a server has made too late is taken in', async () => {
  const first = await holder();
  const second = await holder();
  keepUp(second);
  await first.journal.accept(commandOf('late'));
  await second.open.clock.whenSleeping(1);
  second.open.clock.advance(60_000);
  await until('it is known', () => second.journal.find('late') !== undefined);
  expect(await second.journal.begin('late')).toBe(1);
});
