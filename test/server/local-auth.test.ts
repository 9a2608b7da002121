import { expect, test } from 'bun:test';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { givenLocalAuth, localAuth } from '../../src/server/local-auth.ts';
import { memoryLog } from '../support/memory-log.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const files = systemFiles('/');

test('the token that root has made opens the doors, and nothing else does', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'local-token');
  await localAuth({ random: systemRandom, files }, path);
  const token = (await Bun.file(path).text()).trim();
  const auth = await givenLocalAuth({ files, log: memoryLog() }, path);
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
  const auth = await givenLocalAuth({ files, log }, path);
  const given = ['Bearer ', `Bearer ${text?.trim() ?? ''}`, 'Bearer undefined', undefined];
  expect(given.map((each) => auth.accepts(each))).toEqual([false, false, false, false]);
  expect(log.entries.map(({ level }) => level)).toEqual(['warn']);
});

test('a token that cannot be read lets nobody in, and keeps nothing else from starting', async () => {
  await using directory = await tempDirectory();
  const log = memoryLog();
  const auth = await givenLocalAuth({ files, log }, directory.path);
  expect(auth.accepts('Bearer ')).toBe(false);
  expect(log.entries.map(({ message }) => message)).toContain('cannot read the local token');
});
