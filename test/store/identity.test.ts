import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/database.ts';
import { agentIdentity } from '../../src/store/identity.ts';
import { manualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const clock = manualClock();

describe('agentIdentity()', () => {
  test('makes an id that a path of an address can hold', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    expect(agentIdentity({ database, random: seededRandom(1) }, '')).toMatch(
      /^agent-[0-9a-f]{32}$/,
    );
  });

  test('keeps the id over restarts, whatever is drawn then', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.db');
    const idAfterStart = (seed: number) => {
      using database = openDatabase({ clock }, path).database;
      return agentIdentity({ database, random: seededRandom(seed) }, '');
    };
    const first = idAfterStart(1);
    expect([idAfterStart(2), idAfterStart(3)]).toEqual([first, first]);
  });

  test('gives two machines two ids', async () => {
    await using directory = await tempDirectory();
    const idOf = (machine: string, seed: number) => {
      using database = openDatabase({ clock }, join(directory.path, machine)).database;
      return agentIdentity({ database, random: seededRandom(seed) }, '');
    };
    expect(idOf('one.db', 1)).not.toBe(idOf('two.db', 2));
  });

  test('takes the configured id, and the one it made when that is taken out again', async () => {
    await using directory = await tempDirectory();
    using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
    const deps = { database, random: seededRandom(1) };
    const made = agentIdentity(deps, '');
    expect([agentIdentity(deps, 'mine'), agentIdentity(deps, '')]).toEqual(['mine', made]);
  });
});
