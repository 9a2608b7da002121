import { describe, expect, test } from 'bun:test';
import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemFiles } from '../../src/platform/files.ts';
import { failureOf } from '../support/failure-of.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { AGENT_GID, AGENT_UID, machine, modeOf } from './temp-machine.ts';

describe('readText()', () => {
  test('reads what stands below the root', async () => {
    await using host = await machine();
    await writeFile(host.real('/etc/hostname'), 'höst-1\n');
    expect(await host.files.readText('/etc/hostname')).toBe('höst-1\n');
  });

  test.each(['/etc/missing', '/missing/too', '/etc/passwd/below-a-file'])(
    'gives undefined for %s, which is not there',
    async (path) => {
      await using host = await machine();
      expect(await host.files.readText(path)).toBeUndefined();
    },
  );

  test('reads files of the kernel, which say that they are empty', async () => {
    expect(await systemFiles('/').readText('/proc/self/status')).toContain(`Pid:\t${process.pid}`);
  });

  test.each([1, 10, 200_000])(
    'reads %d bytes when that is the limit, and not one more',
    async (limit) => {
      await using host = await machine();
      await writeFile(host.real('/fits'), 'x'.repeat(limit));
      await writeFile(host.real('/too-long'), 'x'.repeat(limit + 1));

      expect((await host.files.readText('/fits', limit))?.length).toBe(limit);
      const { code, message } = await failureOf(() => host.files.readText('/too-long', limit));
      expect({ code, message }).toEqual({
        code: 'FILE_ACCESS',
        message: `Cannot read /too-long: it is longer than ${limit} bytes`,
      });
    },
  );

  test('reads no more than a mebibyte when nothing else was said', async () => {
    await using host = await machine();
    await writeFile(host.real('/fits'), 'x'.repeat(1_048_576));
    await writeFile(host.real('/too-long'), 'x'.repeat(1_048_577));
    expect((await host.files.readText('/fits'))?.length).toBe(1_048_576);
    expect((await failureOf(() => host.files.readText('/too-long'))).code).toBe('FILE_ACCESS');
  });

  test('stops at the limit of what never ends', async () => {
    const { message } = await failureOf(() => systemFiles('/').readText('/dev/zero', 100_000));
    expect(message).toBe('Cannot read /dev/zero: it is longer than 100000 bytes');
  });

  test('says what it cannot read and what to look at', async () => {
    await using host = await machine();
    const { code, message, hint } = await failureOf(() => host.files.readText('/etc'));
    expect({ code, message, hint }).toEqual({
      code: 'FILE_ACCESS',
      message: 'Cannot read /etc: it is a directory',
      hint: 'See what stands there: ls -ld /etc',
    });
  });
});

describe('writeAtomic()', () => {
  test.each(['600', '644', '755', '666'])(
    'writes with the mode %s, whatever the umask',
    async (octal) => {
      await using host = await machine();
      await host.files.writeAtomic('/etc/file', 'text', { mode: Number.parseInt(octal, 8) });
      expect({
        text: await readFile(host.real('/etc/file'), 'utf8'),
        mode: await modeOf(host.real('/etc/file')),
      }).toEqual({ text: 'text', mode: octal });
    },
  );

  test('writes bytes as they are', async () => {
    await using host = await machine();
    const bytes = Buffer.from([0, 255, 10, 128]);
    await host.files.writeAtomic('/etc/file', bytes, { mode: 0o600 });
    expect(await readFile(host.real('/etc/file'))).toEqual(bytes);
  });

  test('replaces a file with another one, so that who reads the old one keeps it whole', async () => {
    await using host = await machine();
    await host.files.writeAtomic('/etc/file', 'old', { mode: 0o644 });
    const old = await stat(host.real('/etc/file'));
    await host.files.writeAtomic('/etc/file', 'new', { mode: 0o600 });
    const replaced = await stat(host.real('/etc/file'));

    expect({ sameFile: old.ino === replaced.ino, mode: replaced.mode & 0o777 }).toEqual({
      sameFile: false,
      mode: 0o600,
    });
    expect((await readdir(host.real('/etc'))).sort()).toEqual(['file', 'group', 'passwd']);
  });

  test('replaces a link and not what it points at', async () => {
    await using host = await machine();
    await writeFile(host.real('/etc/target'), 'untouched');
    await symlink('target', host.real('/etc/link'));
    await host.files.writeAtomic('/etc/link', 'new', { mode: 0o600 });

    expect({
      isLink: (await lstat(host.real('/etc/link'))).isSymbolicLink(),
      link: await readFile(host.real('/etc/link'), 'utf8'),
      target: await readFile(host.real('/etc/target'), 'utf8'),
    }).toEqual({ isLink: false, link: 'new', target: 'untouched' });
  });

  test('looks the owner up in the files of the machine', async () => {
    await using host = await machine();
    await host.files.writeAtomic('/etc/file', 'x', { mode: 0o600, owner: 'agent:agents' });
    const { uid, gid } = await stat(host.real('/etc/file'));
    expect({ uid, gid }).toEqual({ uid: AGENT_UID, gid: AGENT_GID });
  });

  test.each([
    ['stranger:agents', 'Cannot find "stranger" in passwd'],
    ['agent:strangers', 'Cannot find "strangers" in group'],
    ['agent', 'Cannot find "" in group'],
  ])('leaves the old file and no other when the owner is %s', async (owner, message) => {
    await using host = await machine();
    await host.files.writeAtomic('/etc/file', 'old', { mode: 0o600 });
    const error = await failureOf(() =>
      host.files.writeAtomic('/etc/file', 'new', { mode: 0o600, owner }),
    );

    expect({ code: error.code, message: error.message }).toEqual({ code: 'FILE_ACCESS', message });
    expect(await readFile(host.real('/etc/file'), 'utf8')).toBe('old');
    expect((await readdir(host.real('/etc'))).sort()).toEqual(['file', 'group', 'passwd']);
  });

  test('leaves no temporary file when a directory stands in the way', async () => {
    await using host = await machine();
    await mkdir(host.real('/etc/file/below'), { recursive: true });
    const error = await failureOf(() => host.files.writeAtomic('/etc/file', 'x', { mode: 0o600 }));
    expect({ code: error.code, message: error.message }).toEqual({
      code: 'FILE_ACCESS',
      message: expect.stringMatching(/^Cannot write \/etc\/file: /),
    });
    expect((await readdir(host.real('/etc'))).sort()).toEqual(['file', 'group', 'passwd']);
  });

  test('gives DISK_FULL and keeps the old file alone when the disk is full', async () => {
    await using directory = await tempDirectory();
    const script = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" "$3" "$1"';
    const fullDisk = Bun.spawn(
      // A mount of its own that goes with its last process.
      ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'].concat(
        directory.path,
        process.execPath,
        join(import.meta.dir, 'full-disk.ts'),
      ),
      { stdout: 'pipe', stderr: 'inherit' },
    );
    expect(await fullDisk.stdout.json()).toEqual({
      code: 'DISK_FULL',
      message: 'Cannot write /file: no space left on the disk',
      hint: 'Free some space on the file system of /file, then run the same command again',
      names: ['file'],
      text: 'old',
    });
    expect(await fullDisk.exited).toBe(0);
  });
});
