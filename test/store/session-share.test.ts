import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/database.ts';
import { type SessionShare, sessionShare } from '../../src/store/session-share.ts';
import { manualClock } from '../support/manual-clock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const clock = manualClock();
const told = ({ isAlone, synced, policy }: SessionShare) => [isAlone(), synced(), policy()];

test('what was noted survives a restart, whatever is so at first', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'agent.db');
  const first = openDatabase({ clock }, path).database;
  expect(told(sessionShare(first, true))).toEqual([true, undefined, undefined]);
  const share = sessionShare(first, false);
  expect(told(share)).toEqual([false, undefined, undefined]);
  share.note(true);
  share.noteSynced('a');
  share.notePolicy('p');
  expect(told(share)).toEqual([true, 'a', 'p']);
  first.close();
  using second = openDatabase({ clock }, path).database;
  expect(told(sessionShare(second, false))).toEqual([true, 'a', 'p']);
  sessionShare(second, false).notePolicy(undefined);
  expect(told(sessionShare(second, false))).toEqual([true, 'a', undefined]);
});

test('what cannot be written was not noted', async () => {
  await using directory = await tempDirectory();
  using database = openDatabase({ clock }, join(directory.path, 'agent.db')).database;
  const share = sessionShare(database, true);
  database.run('PRAGMA query_only = on');
  expect(() => share.note(false)).toThrow('readonly');
  expect(() => share.noteSynced('a')).toThrow('readonly');
  expect(told(share)).toEqual([true, undefined, undefined]);
  database.run('PRAGMA query_only = off');
  share.note(false);
  expect(told(share)).toEqual([false, undefined, undefined]);
});
