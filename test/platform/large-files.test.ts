import { expect, test } from 'bun:test';
import { symlink, writeFile } from 'node:fs/promises';
import { failureOf } from '../support/failure-of.ts';
import { machine, modeOf } from './temp-machine.ts';

test('a large file is written and read piece by piece', async () => {
  await using host = await machine();
  const first = await host.files.growFile('/large', { mode: 0o640, keeps: false });
  await first.append(Buffer.from('one '));
  await first.append(Buffer.from('two '));
  await first.close({ sync: true });
  const again = await host.files.growFile('/large', { mode: 0o640, keeps: true });
  await again.append(Buffer.from('three'));
  await again.close();
  const file = await host.files.openFile('/large');
  const read = async (offset: number) =>
    Buffer.from((await file?.read(offset, 6)) ?? []).toString();
  expect([file?.sizeBytes, await read(0), await read(8), await read(13), await read(99)]).toEqual([
    13,
    'one tw',
    'three',
    '',
    '',
  ]);
  await file?.close();
  expect(await modeOf(host.real('/large'))).toBe('640');
});

test('what is not kept is gone, and a rename replaces', async () => {
  await using host = await machine();
  await writeFile(host.real('/old'), 'old');
  await writeFile(host.real('/new'), 'before');
  await (await host.files.growFile('/new', { mode: 0o600, keeps: false })).close();
  await host.files.rename('/new', '/old');
  expect([await host.files.readText('/old'), await host.files.stat('/new')]).toEqual([
    '',
    undefined,
  ]);
});

test('a file that is not there is undefined, and what is none is refused without waiting', async () => {
  await using host = await machine();
  expect(await host.files.openFile('/none')).toBeUndefined();
  await Bun.$`mkfifo ${host.real('/pipe')}`.quiet();
  await host.files.makeDirectory('/directory', { mode: 0o755 });
  for (const path of ['/pipe', '/directory']) {
    expect(await failureOf(() => host.files.openFile(path))).toMatchObject({
      code: 'FILE_ACCESS',
      message: `Cannot read ${path}: it is no regular file`,
    });
  }
});

test('nothing is written through a link', async () => {
  await using host = await machine();
  await writeFile(host.real('/precious'), 'precious');
  await symlink('precious', host.real('/link'));
  const failure = await failureOf(() =>
    host.files.growFile('/link', { mode: 0o600, keeps: false }),
  );
  expect(failure).toMatchObject({ code: 'FILE_ACCESS' });
  expect(await host.files.readText('/precious')).toBe('precious');
});
