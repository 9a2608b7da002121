import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/database.ts';
import { sessionMemory } from '../../src/store/session-memory.ts';
import { manualClock } from '../support/manual-clock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const SESSION = {
  clusterId: 'cluster-1',
  clusterUuid: 'uuid-1',
  supportsCommands: true,
  supportsStatusReports: false,
  supportsFlowControl: true,
  serviceTokenHash: 'ab'.repeat(32),
};

test('a registration survives a restart, and belongs to its control plane alone', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'agent.db');
  const first = openDatabase({ clock: manualClock() }, path).database;
  expect(sessionMemory(first, 'https://a.example').read()).toBeUndefined();
  sessionMemory(first, 'https://a.example').write(SESSION);
  first.close();
  const { database } = openDatabase({ clock: manualClock() }, path);
  expect(sessionMemory(database, 'https://a.example').read()).toEqual(SESSION);
  expect(sessionMemory(database, 'https://b.example').read()).toBeUndefined();
  const other = { ...SESSION, clusterId: 'cluster-2' };
  sessionMemory(database, 'https://b.example').write(other);
  expect(sessionMemory(database, 'https://a.example').read()).toBeUndefined();
  expect(sessionMemory(database, 'https://b.example').read()).toEqual(other);
  database.close();
});

test('what a newer version noted of a registration stays with that registration', async () => {
  await using directory = await tempDirectory();
  using database = openDatabase(
    { clock: manualClock() },
    join(directory.path, 'agent.db'),
  ).database;
  const memory = sessionMemory(database, 'https://a.example');
  memory.write(SESSION);
  database.run('ALTER TABLE session_memory ADD COLUMN lease TEXT');
  database.run("UPDATE session_memory SET lease = 'lease-1'");
  const leases = () => database.query('SELECT lease FROM session_memory').values();

  memory.write({ ...SESSION, supportsCommands: false });
  expect([memory.read()?.supportsCommands, leases()]).toEqual([false, [['lease-1']]]);
  memory.write({ ...SESSION, clusterId: 'cluster-2' });
  expect([memory.read()?.clusterId, leases()]).toEqual(['cluster-2', [[null]]]);
});
