import { expect, test } from 'bun:test';
import { stat } from 'node:fs/promises';
import { moveFile } from '../../../src/host/engine/place-file.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryDirectory, tempDirectory } from '../../support/temp-dir.ts';

const never = new AbortController().signal;
const TEXT = 'the program';
const sha256 = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');
const range = (path: string, text = TEXT) => ({
  ...{ path, offset: 0, sizeBytes: TEXT.length, sha256: sha256(text) },
});

test.each([
  ['within one file system', tempDirectory],
  ['from one file system to another', memoryDirectory],
])('a file is moved %s, with its mode', async (_, otherDirectory) => {
  await using here = await tempDirectory();
  await using there = await otherDirectory();
  const files = systemFiles('/');
  const [from, to] = [`${here.path}/k3s`, `${there.path}/k3s`];
  await files.writeAtomic(from, TEXT, { mode: 0o600 });
  await moveFile(files, range(from), { path: to, mode: 0o755 }, never);
  expect([await files.readText(to), (await stat(to)).mode & 0o777]).toEqual([TEXT, 0o755]);
  expect([await files.list(here.path), await files.list(there.path)]).toEqual([[], ['k3s']]);
});

test('what was changed on the way to another file system is not placed', async () => {
  await using here = await tempDirectory();
  await using there = await memoryDirectory();
  const files = systemFiles('/');
  const [from, to] = [`${here.path}/k3s`, `${there.path}/k3s`];
  await files.writeAtomic(from, TEXT, { mode: 0o600 });
  const moving = () => moveFile(files, range(from, 'another'), { path: to, mode: 0o755 }, never);
  expect(await failureOf(moving)).toMatchObject({ code: 'FILE_ACCESS' });
  expect(await files.list(there.path)).toEqual([]);
});
