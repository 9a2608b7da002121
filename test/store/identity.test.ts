import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { MachineMark } from '../../src/protocol/files/machine-mark.ts';
import { openDatabase } from '../../src/store/database.ts';
import { type AgentIdentity, agentIdentity } from '../../src/store/identity.ts';
import { manualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const clock = manualClock();
const HERE: MachineMark = { machine: 'm1', hardware: 'h1', boot: 'b1' };

const told = ({ id, cloneOf }: AgentIdentity) => ({ id: id(), cloneOf });

describe('agentIdentity()', () => {
  test('makes an id that a path of an address can hold', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    expect(agentIdentity({ database, clock, random: seededRandom(1) }, '', HERE).id()).toMatch(
      /^agent-[0-9a-f]{32}$/,
    );
  });

  test('keeps the id over restarts, whatever is drawn then', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const idAfterStart = (seed: number) => {
      using database = openDatabase({ clock }, path).database;
      return agentIdentity({ database, clock, random: seededRandom(seed) }, '', HERE).id();
    };
    const first = idAfterStart(1);
    expect([idAfterStart(2), idAfterStart(3)]).toEqual([first, first]);
  });

  test('gives two machines two ids', async () => {
    await using directory = await tempDirectory();
    const idOf = (machine: string, seed: number) => {
      using database = openDatabase({ clock }, join(directory.path, machine)).database;
      return agentIdentity({ database, clock, random: seededRandom(seed) }, '', HERE).id();
    };
    expect(idOf('one.db', 1)).not.toBe(idOf('two.db', 2));
  });

  test('takes the configured id, and the one it made when that is taken out again', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, clock, random: seededRandom(1) };
    const idOf = (configured: string) => agentIdentity(deps, configured, HERE).id();
    const made = idOf('');
    expect([idOf('mine'), idOf('')]).toEqual(['mine', made]);
  });
});

describe('a further server', () => {
  test('takes the name that the others have, for good, unless one is configured', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, clock, random: seededRandom(1) };
    const identity = agentIdentity(deps, '', HERE);
    identity.become('agent-of-all');
    const configured = agentIdentity(deps, 'mine', HERE);
    configured.become('another');
    expect([identity.id(), configured.id(), agentIdentity(deps, '', HERE).id()]).toEqual([
      'agent-of-all',
      'mine',
      'agent-of-all',
    ]);
  });
});

describe('a copy of a machine', () => {
  const at = '2026-01-01T00:00:00.000Z';
  async function started(configured: string, marks: readonly MachineMark[]) {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, clock, random: seededRandom(1) };
    return marks.map((mark) => told(agentIdentity(deps, configured, mark)));
  }

  test.each<[string, MachineMark]>([
    ['other hardware', { machine: 'm1', hardware: 'h2', boot: 'b2' }],
    ['another machine id', { machine: 'm2', hardware: 'h1', boot: 'b2' }],
    [
      'another machine id, and nobody knows the hardware',
      { machine: 'm2', hardware: null, boot: 'b2' },
    ],
  ])('with %s has a name of its own, and keeps it', async (_, mark) => {
    const [original, copy, later] = await started('', [HERE, mark, { ...mark, boot: 'b3' }]);
    expect(original?.cloneOf).toBeNull();
    expect(copy?.id).not.toBe(original?.id);
    expect(copy?.cloneOf).toEqual({ id: original?.id ?? '', at });
    expect(later).toEqual(copy);
  });

  test.each<[string, MachineMark]>([
    ['the next boot', { machine: 'm1', hardware: 'h1', boot: 'b2' }],
    ['a machine id that was changed meanwhile', { machine: 'm2', hardware: 'h1', boot: 'b1' }],
    ['what is not known this time', { machine: null, hardware: null, boot: 'b2' }],
  ])('is not %s', async (_, mark) => {
    const [original, same] = await started('', [HERE, mark]);
    expect(same).toEqual(original);
  });

  test('does not take the configured name, which was copied, until somebody gives it another', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, clock, random: seededRandom(1) };
    const there: MachineMark = { machine: 'm1', hardware: 'h2', boot: 'b2' };
    expect(agentIdentity(deps, 'mine', HERE).id()).toBe('mine');
    const copy = told(agentIdentity(deps, 'mine', there));
    expect(copy).toEqual({ id: expect.stringMatching(/^agent-/), cloneOf: { id: 'mine', at } });
    expect(agentIdentity(deps, 'yours', there).id()).toBe('yours');
  });

  test('forgets commands, session and refusals of the other', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, clock, random: seededRandom(1) };
    agentIdentity(deps, '', HERE);
    database.run(
      "INSERT INTO commands (id, type, state, bytes, accepted_at) VALUES ('c', 'deploy', 'accepted', 1, '')",
    );
    database.run("INSERT INTO identity (name, value) VALUES ('refusals', '[]')");
    const count = (rows: string) => database.query(`SELECT count(*) AS n FROM ${rows}`).get();
    const counts = () => [count('commands'), count("identity WHERE name = 'refusals'")];
    agentIdentity(deps, '', { ...HERE, boot: 'b2' });
    expect(counts()).toEqual([{ n: 1 }, { n: 1 }]);
    agentIdentity(deps, '', { ...HERE, hardware: 'h2', boot: 'b3' });
    expect(counts()).toEqual([{ n: 0 }, { n: 0 }]);
  });
});
