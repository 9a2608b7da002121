import { expect, test } from 'bun:test';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { givenLocalAuth, localAuth } from '../../src/server/local-auth.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const files = systemFiles('/');
const ofRoot = (path: string) => ({ path, before: `${path}-before` });

test('the token that root has made opens the doors, and nothing else does', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'local-token');
  await localAuth({ random: systemRandom, files }, path);
  const token = (await Bun.file(path).text()).trim();
  const auth = await givenLocalAuth({ clock: systemClock, files, log: memoryLog() }, ofRoot(path));
  const given = [`Bearer ${token}`, `Bearer ${token}x`, `Bearer ${token}\n`, token, 'Bearer ', ''];
  expect([...given, undefined].map((each) => auth.accepts(each))).toEqual([
    ...[true, false, false, false, false, false, false],
  ]);
  expect(await Bun.file(path).text()).toBe(`${token}\n`);
});

test.each([
  ['there is none', undefined],
  ['it is empty', '\n'],
  ['it is cut short', 'abc\n'],
])('without a token of root nobody is let in: %s', async (_, text) => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'local-token');
  if (text !== undefined) {
    await writeFile(path, text);
    await chmod(path, 0o640);
  }
  const log = memoryLog();
  const auth = await givenLocalAuth({ clock: systemClock, files, log }, ofRoot(path));
  const given = ['Bearer ', `Bearer ${text?.trim() ?? ''}`, 'Bearer undefined', undefined];
  expect(given.map((each) => auth.accepts(each))).toEqual([false, false, false, false]);
  expect(log.entries.map(({ level }) => level)).toEqual(['warn']);
});

test('a token that cannot be read lets nobody in, and keeps nothing else from starting', async () => {
  await using directory = await tempDirectory();
  const log = memoryLog();
  const auth = await givenLocalAuth({ clock: systemClock, files, log }, ofRoot(directory.path));
  expect(auth.accepts('Bearer ')).toBe(false);
  expect(log.entries.map(({ message }) => message)).toContain('cannot read the local token');
});

test('the token of the start before is accepted for two minutes, and then not any more', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'local-token');
  const [older, newer] = ['o'.repeat(43), 'n'.repeat(43)];
  await writeFile(`${path}-before`, `${older}\n`);
  await writeFile(path, `${newer}\n`);
  const clock = manualClock();
  const auth = await givenLocalAuth({ clock, files, log: memoryLog() }, ofRoot(path));
  const accepted = () =>
    [older, newer, '', 'x'.repeat(43)].map((each) => auth.accepts(`Bearer ${each}`));
  clock.advance(119_999);
  expect(accepted()).toEqual([true, true, false, false]);
  clock.advance(1);
  expect(accepted()).toEqual([false, true, false, false]);
});
