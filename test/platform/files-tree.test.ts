import { describe, expect, test } from 'bun:test';
import { chmod, lstat, mkdir, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { systemFiles } from '../../src/platform/files.ts';
import { failureOf } from '../support/failure-of.ts';
import { GID, machine, modeOf, UID } from './temp-machine.ts';

describe('makeDirectory()', () => {
  test('makes parents that everybody may pass, and gives mode and owner to the last one only', async () => {
    await using host = await machine();
    const before = process.umask(0o077);
    try {
      await host.files.makeDirectory('/var/lib/agent', { mode: 0o2770, owner: 'agent:agents' });
    } finally {
      process.umask(before);
    }
    const paths = ['/var', '/var/lib', '/var/lib/agent'];
    const modes = await Promise.all(paths.map((path) => modeOf(host.real(path))));
    expect(modes).toEqual(['755', '755', '2770']);
  });

  test('leaves one that is there as it is, also behind a link', async () => {
    await using host = await machine();
    await mkdir(host.real('/bin'));
    await chmod(host.real('/bin'), 0o2775);
    await symlink('bin', host.real('/sbin'));
    for (const path of ['/bin', '/sbin']) {
      await host.files.makeDirectory(path, { mode: 0o755, owner: 'agent:agents' });
    }
    const { gid, uid, mode } = await stat(host.real('/bin'));
    expect({ gid, uid, mode: mode & 0o7777 }).toEqual({ gid: GID, uid: UID, mode: 0o2775 });
  });

  test('says which one it cannot make when a file stands in the way', async () => {
    await using host = await machine();
    const { code, message } = await failureOf(() =>
      host.files.makeDirectory('/etc/passwd/below', { mode: 0o700 }),
    );
    expect({ code, message }).toEqual({
      code: 'FILE_ACCESS',
      message: 'Cannot create /etc/passwd/below: a part of its path is no directory',
    });
  });
});

describe('claimDirectory()', () => {
  test('makes one that is missing', async () => {
    await using host = await machine();
    await host.files.claimDirectory('/var/agent', { mode: 0o750 });
    expect(await modeOf(host.real('/var/agent'))).toBe('750');
  });

  test('corrects the mode of one that is there and keeps what is in it', async () => {
    await using host = await machine();
    await mkdir(host.real('/var'), { mode: 0o777 });
    await writeFile(host.real('/var/file'), 'x');
    await host.files.claimDirectory('/var', { mode: 0o750 });
    expect({ mode: await modeOf(host.real('/var')), list: await host.files.list('/var') }).toEqual({
      mode: '750',
      list: ['file'],
    });
  });
});

describe('stat()', () => {
  test('describes a file', async () => {
    await using host = await machine();
    await host.files.writeAtomic('/etc/file', 'four', { mode: 0o640 });
    expect(await host.files.stat('/etc/file')).toEqual({
      kind: 'file',
      mode: 0o640,
      uid: UID,
      gid: GID,
      size: 4,
      inode: (await lstat(host.real('/etc/file'))).ino,
    });
  });

  test('tells kinds apart and does not follow a link', async () => {
    await using host = await machine();
    await symlink('passwd', host.real('/etc/link'));
    await symlink('nowhere', host.real('/etc/broken'));
    using _socket = Bun.listen({
      unix: host.real('/etc/socket'),
      socket: { data: () => undefined },
    });
    const kindOf = async (path: string) => (await host.files.stat(path))?.kind;

    expect({
      '/etc': await kindOf('/etc'),
      '/etc/passwd': await kindOf('/etc/passwd'),
      '/etc/link': await kindOf('/etc/link'),
      '/etc/broken': await kindOf('/etc/broken'),
      '/etc/socket': await kindOf('/etc/socket'),
      '/etc/missing': await kindOf('/etc/missing'),
      '/dev/null': (await systemFiles('/').stat('/dev/null'))?.kind,
    }).toEqual({
      '/etc': 'directory',
      '/etc/passwd': 'file',
      '/etc/link': 'link',
      '/etc/broken': 'link',
      '/etc/socket': 'socket',
      '/etc/missing': undefined,
      '/dev/null': 'other',
    });
  });
});

describe('list()', () => {
  test('gives sorted names, hidden ones too, and none for what is not there', async () => {
    await using host = await machine();
    await writeFile(host.real('/etc/.hidden'), '');
    await mkdir(host.real('/etc/zebra'));
    expect(await host.files.list('/etc')).toEqual(['.hidden', 'group', 'passwd', 'zebra']);
    expect(await host.files.list('/missing')).toEqual([]);
  });
});

describe('link() and readLink()', () => {
  test('point a link at a target, which need not be there', async () => {
    await using host = await machine();
    await host.files.link('/opt/tool-1', '/etc/tool');
    expect(await host.files.readLink('/etc/tool')).toBe('/opt/tool-1');
  });

  test('replace another link and leave nothing beside it', async () => {
    await using host = await machine();
    await host.files.link('/opt/tool-1', '/etc/tool');
    await host.files.link('/opt/tool-2', '/etc/tool');
    expect(await readlink(host.real('/etc/tool'))).toBe('/opt/tool-2');
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd', 'tool']);
  });

  test('leave nothing behind when a directory stands in the way', async () => {
    await using host = await machine();
    await mkdir(host.real('/etc/tool'));
    const { code } = await failureOf(() => host.files.link('/opt/tool', '/etc/tool'));
    expect(code).toBe('FILE_ACCESS');
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd', 'tool']);
  });

  test('give undefined for a link that is not there', async () => {
    await using host = await machine();
    expect(await host.files.readLink('/etc/missing')).toBeUndefined();
  });

  test('say so when what should be a link is a file', async () => {
    await using host = await machine();
    expect((await failureOf(() => host.files.readLink('/etc/passwd'))).message).toBe(
      'Cannot read /etc/passwd: it is not what was expected there',
    );
  });
});

describe('changeMode()', () => {
  test('changes the mode of a file', async () => {
    await using host = await machine();
    await host.files.changeMode('/etc/passwd', 0o600);
    expect(await modeOf(host.real('/etc/passwd'))).toBe('600');
  });

  test('says so when there is none', async () => {
    await using host = await machine();
    expect((await failureOf(() => host.files.changeMode('/etc/missing', 0o600))).message).toMatch(
      /^Cannot change \/etc\/missing: it does not exist$/,
    );
  });
});

describe('remove()', () => {
  test('removes a file once', async () => {
    await using host = await machine();
    expect([await host.files.remove('/etc/group'), await host.files.remove('/etc/group')]).toEqual([
      true,
      false,
    ]);
  });

  test('removes a link and not what it points at', async () => {
    await using host = await machine();
    await symlink('passwd', host.real('/etc/link'));
    expect(await host.files.remove('/etc/link')).toBeTrue();
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd']);
  });

  test('does not remove a directory', async () => {
    await using host = await machine();
    expect((await failureOf(() => host.files.remove('/etc'))).code).toBe('FILE_ACCESS');
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd']);
  });
});

describe('removeEmptyDirectory()', () => {
  test('removes a directory only while nothing is in it, and nothing else', async () => {
    await using host = await machine();
    await mkdir(host.real('/opt/agent'), { recursive: true });
    await symlink('opt/agent', host.real('/link'));
    const remove = (path: string) => host.files.removeEmptyDirectory(path);
    const went = [];
    for (const path of ['/opt', '/link', '/etc/passwd', '/nowhere', '/opt/agent', '/opt', '/opt']) {
      went.push(await remove(path));
    }
    expect(went).toEqual([false, false, false, false, true, true, false]);
  });
});

describe('removeTree()', () => {
  test('removes a directory with all that is in it, once, and follows no link', async () => {
    await using host = await machine();
    await mkdir(host.real('/var/lib/deep/er'), { recursive: true });
    await writeFile(host.real('/var/lib/deep/er/file'), 'x');
    await symlink(host.real('/etc'), host.real('/var/lib/link'));

    expect([await host.files.removeTree('/var'), await host.files.removeTree('/var')]).toEqual([
      true,
      false,
    ]);
    expect(await host.files.list('/')).toEqual(['etc']);
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd']);
  });

  test('does not remove what is no directory', async () => {
    await using host = await machine();
    await symlink('etc', host.real('/link'));
    const link = await failureOf(() => host.files.removeTree('/link'));
    const file = await failureOf(() => host.files.removeTree('/etc/passwd'));
    expect([link.code, file.code]).toEqual(['FILE_ACCESS', 'FILE_ACCESS']);
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd']);
  });
});

describe('diskSpace()', () => {
  test('measures the file system of the nearest parent that is there', async () => {
    await using host = await machine();
    const space = await host.files.diskSpace('/var/lib/not/there/yet');
    expect(space.totalBytes).toBe((await host.files.diskSpace('/')).totalBytes);
    expect(space.freeBytes).toBeGreaterThan(0);
    expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
  });
});
