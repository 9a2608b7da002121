import { describe, expect, test } from 'bun:test';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../src/core/errors.ts';
import type { Files } from '../../src/core/ports.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const UID = process.getuid?.() ?? 0;
const GID = process.getgid?.() ?? 0;
/** Ids that the test may give files to: any others as root, else only its own. */
const AGENT_UID = UID === 0 ? 4_001 : UID;
const AGENT_GID = UID === 0 ? 4_002 : GID;

interface Machine extends AsyncDisposable {
  readonly files: Files;
  /** Where a path of the machine really stands. */
  real(path: string): string;
}

/** A root with /etc, which knows the user `agent` and the group `agents`. */
async function machine(): Promise<Machine> {
  const root = await tempDirectory();
  const real = (path: string) => join(root.path, path);
  await mkdir(real('/etc'));
  await writeFile(
    real('/etc/passwd'),
    `root:x:0:0::/root:/bin/sh\nagent:x:${AGENT_UID}:77::/:/bin/no\n`,
  );
  await writeFile(real('/etc/group'), `root:x:0:\nagents:x:${AGENT_GID}:\n`);
  return {
    files: systemFiles(root.path),
    real,
    [Symbol.asyncDispose]: () => root[Symbol.asyncDispose](),
  };
}

async function failureOf(work: Promise<unknown>): Promise<AgentError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return thrown;
    }
    throw thrown;
  }
  throw new Error('The work was expected to fail');
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8);
}

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
      const { code, message } = await failureOf(host.files.readText('/too-long', limit));
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
    expect((await failureOf(host.files.readText('/too-long'))).code).toBe('FILE_ACCESS');
  });

  test('stops at the limit of what never ends', async () => {
    const { message } = await failureOf(systemFiles('/').readText('/dev/zero', 100_000));
    expect(message).toBe('Cannot read /dev/zero: it is longer than 100000 bytes');
  });

  test('says what it cannot read and what to look at', async () => {
    await using host = await machine();
    const { code, message, hint } = await failureOf(host.files.readText('/etc'));
    expect({ code, message, hint }).toEqual({
      code: 'FILE_ACCESS',
      message: expect.stringMatching(/^Cannot read \/etc: EISDIR/),
      hint: 'Check the permissions and what stands there',
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
    const error = await failureOf(
      host.files.writeAtomic('/etc/file', 'new', { mode: 0o600, owner }),
    );

    expect({ code: error.code, message: error.message }).toEqual({ code: 'FILE_ACCESS', message });
    expect(await readFile(host.real('/etc/file'), 'utf8')).toBe('old');
    expect((await readdir(host.real('/etc'))).sort()).toEqual(['file', 'group', 'passwd']);
  });

  test('leaves no temporary file when a directory stands in the way', async () => {
    await using host = await machine();
    await mkdir(host.real('/etc/file/below'), { recursive: true });
    const error = await failureOf(host.files.writeAtomic('/etc/file', 'x', { mode: 0o600 }));
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

describe('makeDirectory()', () => {
  test('makes parents, and gives mode and owner to the last one only', async () => {
    await using host = await machine();
    await host.files.makeDirectory('/var/lib/agent', { mode: 0o2770, owner: 'agent:agents' });
    expect(await modeOf(host.real('/var/lib/agent'))).toBe('2770');
    expect(await modeOf(host.real('/var/lib'))).not.toBe('2770');
  });

  test('corrects the mode of one that is there and keeps what is in it', async () => {
    await using host = await machine();
    await mkdir(host.real('/var'), { mode: 0o777 });
    await writeFile(host.real('/var/file'), 'x');
    await host.files.makeDirectory('/var', { mode: 0o750 });
    expect({ mode: await modeOf(host.real('/var')), list: await host.files.list('/var') }).toEqual({
      mode: '750',
      list: ['file'],
    });
  });

  test('says which one it cannot make when a file stands in the way', async () => {
    await using host = await machine();
    const { code, message } = await failureOf(
      host.files.makeDirectory('/etc/passwd/below', { mode: 0o700 }),
    );
    expect({ code, message }).toEqual({
      code: 'FILE_ACCESS',
      message: expect.stringMatching(/^Cannot create \/etc\/passwd\/below: ENOTDIR/),
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
    const { code } = await failureOf(host.files.link('/opt/tool', '/etc/tool'));
    expect(code).toBe('FILE_ACCESS');
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd', 'tool']);
  });

  test('give undefined for a link that is not there', async () => {
    await using host = await machine();
    expect(await host.files.readLink('/etc/missing')).toBeUndefined();
  });

  test('say so when what should be a link is a file', async () => {
    await using host = await machine();
    expect((await failureOf(host.files.readLink('/etc/passwd'))).message).toMatch(
      /^Cannot read \/etc\/passwd: EINVAL/,
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
    expect((await failureOf(host.files.changeMode('/etc/missing', 0o600))).message).toMatch(
      /^Cannot change \/etc\/missing: ENOENT/,
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
    expect((await failureOf(host.files.remove('/etc'))).code).toBe('FILE_ACCESS');
    expect(await host.files.list('/etc')).toEqual(['group', 'passwd']);
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
    const link = await failureOf(host.files.removeTree('/link'));
    const file = await failureOf(host.files.removeTree('/etc/passwd'));
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
