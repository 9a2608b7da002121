import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { COMMAND_IDS, receivedBy, runAgent } from './crashing-agent.ts';

const AGENT = join(import.meta.dir, 'crashing-agent.ts');

/** How many places there are where a run can be killed. */
async function countPoints(): Promise<number> {
  await using directory = await tempDirectory();
  let points = 0;
  runAgent(directory.path, 'the one that counts', () => {
    points += 1;
  });
  return points;
}

const points = await countPoints();

test('a run of the agent has a point after each step and each statement', () => {
  expect(points).toBeGreaterThan(20);
});

test.each(Array.from({ length: points }, (_, index) => index + 1))(
  'each command is run once and has one result when the agent is killed at point %d',
  async (point) => {
    await using directory = await tempDirectory();
    const killed = Bun.spawn([process.execPath, AGENT, directory.path, String(point)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    await killed.exited;
    expect(killed.signalCode).toBe('SIGKILL');
    const receivedBefore = receivedBy(directory.path);

    runAgent(directory.path, 'the one after', () => undefined);

    const received = receivedBy(directory.path);
    const distinct = new Map(received.map((each) => [JSON.stringify(each), each.commandId]));
    expect([...distinct.values()].sort()).toEqual([...COMMAND_IDS]);
    expect(received.slice(0, receivedBefore.length)).toEqual([...receivedBefore]);

    using database = new Database(join(directory.path, 'agent.db'), { readonly: true });
    expect(database.query('SELECT id, state FROM commands ORDER BY sequence').all()).toEqual(
      COMMAND_IDS.map((id) => ({ id, state: 'delivered' })),
    );
    expect(database.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  },
);
