import { constants, type Stats } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  rmdir,
  statfs,
  symlink,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../core/errors.ts';

import type { DiskSpace, FileStat, Files, FileWriteOptions } from '../core/ports.ts';
import { systemCode } from '../core/text/system-words.ts';
import { troubleOf } from '../core/trouble.ts';
import { unfinishedFile } from '../core/unfinished-file.ts';
import { openForGrowing, openForReading } from './large-files.ts';

/** Longest file that `readText` reads unless told otherwise. */
const READ_LIMIT_BYTES = 1024 * 1024;
/** Mode of directories that are made only because something below them is. */
const PARENT_MODE = 0o755;
/** Codes of rmdir(2): the directory is not empty (both are allowed), or it is a mount. */
const STAYING_CODES: readonly string[] = ['ENOTEMPTY', 'EEXIST', 'EBUSY'];

/** The real Files. @param root `/` in production, a temporary directory in tests */
export function systemFiles(root: string): Files {
  const real = (path: string) => join(root, path);
  return {
    readText: async (path, limitBytes = READ_LIMIT_BYTES) =>
      (await ifThere('read', path, () => readBytes(real(path), path, limitBytes)))?.toString(),
    readBytes: (path, limitBytes = READ_LIMIT_BYTES) =>
      ifThere('read', path, () => readBytes(real(path), path, limitBytes)),
    openFile: (path) =>
      ifThere('read', path, () =>
        openForReading(real(path), path, (work) => explained('read', path, work)),
      ),
    growFile: (path, options) =>
      explained('write', path, () =>
        openForGrowing(real(path), options, (work) => explained('write', path, work)),
      ),
    rename: (from, to) =>
      explained('replace', to, async () => {
        await rename(real(from), real(to));
        await syncDirectory(dirname(real(to)));
      }),
    readStart: (path, lengthBytes) =>
      ifThere('read', path, () => readStart(real(path), lengthBytes)),
    writeAtomic: (path, data, options) =>
      explained('write', path, () => writeAtomic(root, real(path), data, options)),
    makeDirectory: (path, options) =>
      explained('create', path, async () => {
        if (await makeMissing(real(path))) {
          await setAccess(root, real(path), options);
        }
      }),
    claimDirectory: (path, options) =>
      explained('create', path, async () => {
        await makeMissing(real(path));
        await setAccess(root, real(path), options);
      }),
    stat: (path) => ifThere('look at', path, async () => describe(await lstat(real(path)))),
    list: async (path) => (await ifThere('list', path, () => readdir(real(path))))?.sort() ?? [],
    readLink: (path) => ifThere('read', path, () => readlink(real(path))),
    link: (target, path) => explained('link', path, () => link(target, real(path))),
    changeMode: (path, mode) => explained('change', path, () => chmod(real(path), mode)),
    remove: async (path) => (await ifThere('remove', path, () => unlinkThere(real(path)))) ?? false,
    removeTree: async (path) =>
      (await ifThere('remove', path, () => removeTree(real(path)))) ?? false,
    removeEmptyDirectory: async (path) =>
      (await ifThere('remove', path, () => removeEmptyDirectory(real(path)))) ?? false,
    diskSpace: (path) => explained('look at', path, () => diskSpace(real(path))),
  };
}

/** Gives undefined for a path that does not exist; every other failure is explained. */
function ifThere<T>(action: string, path: string, work: () => Promise<T>): Promise<T | undefined> {
  return explained(action, path, async () => {
    try {
      return await work();
    } catch (thrown) {
      const code = systemCode(thrown);
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        return undefined;
      }
      throw thrown;
    }
  });
}

/** Gives every failure its code and a hint. */
async function explained<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new AgentError('DISK_FULL', `Cannot ${action} ${path}: no space left on the disk`, {
        hint: `Free some space on the file system of ${path}, then run the same command again`,
        cause: thrown,
      });
    }
    if (thrown instanceof AgentError) {
      throw thrown;
    }
    const isDenied = code === 'EACCES' || code === 'EPERM';
    throw new AgentError('FILE_ACCESS', `Cannot ${action} ${path}: ${troubleOf(thrown)}`, {
      hint: isDenied
        ? `Run it with sudo; or see who may: ls -ld ${path}`
        : `See what stands there: ls -ld ${path}`,
      cause: thrown,
      details: { path, ...(isDenied ? { denied: true } : {}) },
    });
  }
}

async function readBytes(realPath: string, path: string, limitBytes: number): Promise<Buffer> {
  const handle = await open(realPath, constants.O_RDONLY);
  try {
    // /proc files have size 0: read up to the limit and see whether there is more.
    const buffer = Buffer.allocUnsafe(
      Math.min(limitBytes + 1, Math.max((await handle.stat()).size + 1, 64 * 1024)),
    );
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) {
        return buffer.subarray(0, length);
      }
      length += bytesRead;
    }
  } finally {
    await handle.close();
  }
  throw new AgentError(
    'FILE_ACCESS',
    `Cannot read ${path}: it is longer than ${limitBytes} bytes`,
    {
      hint: 'Check that it is the file that was meant',
    },
  );
}

async function readStart(realPath: string, lengthBytes: number): Promise<string> {
  const handle = await open(realPath, constants.O_RDONLY);
  try {
    const buffer = Buffer.allocUnsafe(lengthBytes);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) {
        return buffer.toString('utf8', 0, length);
      }
      length += bytesRead;
    }
    return buffer.toString('utf8', 0, buffer.lastIndexOf('\n') + 1);
  } finally {
    await handle.close();
  }
}

async function writeAtomic(
  root: string,
  realPath: string,
  data: string | Uint8Array,
  options: FileWriteOptions,
): Promise<void> {
  const temporary = unfinishedFile(realPath);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await setAccess(root, temporary, options);
    await rename(temporary, realPath);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncDirectory(dirname(realPath));
}

/** Makes the rename itself survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function setAccess(root: string, path: string, options: FileWriteOptions): Promise<void> {
  if (options.owner !== undefined) {
    const { uid, gid } = await lookUpOwner(root, options.owner);
    await chown(path, uid, gid);
  }
  await chmod(path, options.mode);
}

async function lookUpOwner(root: string, owner: string): Promise<{ uid: number; gid: number }> {
  const [user = '', group = ''] = owner.split(':');
  const uid = await lookUpId(join(root, '/etc/passwd'), user);
  const gid = await lookUpId(join(root, '/etc/group'), group);
  return { uid, gid };
}

/**
 * passwd(5) and group(5) both have the name in field 1 and the number in field 3; a number stands
 * for itself.
 */
async function lookUpId(databasePath: string, name: string): Promise<number> {
  if (/^\d+$/.test(name)) {
    return Number(name);
  }
  const text = await Bun.file(databasePath).text();
  for (const line of text.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name && fields[2] !== undefined) {
      return Number(fields[2]);
    }
  }
  throw new AgentError('FILE_ACCESS', `Cannot find "${name}" in ${basename(databasePath)}`, {
    hint: 'Make that user or group, or run the installation again, which makes those of the agent',
  });
}

/** Makes the directory and all that is missing above it. @returns whether it was missing */
async function makeMissing(path: string): Promise<boolean> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) {
    return false;
  }
  // The umask has changed their modes. The caller sets the mode of the last one.
  for (let made = dirname(path); made !== dirname(first); made = dirname(made)) {
    await chmod(made, PARENT_MODE);
  }
  return true;
}

function describe(stats: Stats): FileStat {
  return {
    kind: kindOf(stats),
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.size,
    inode: stats.ino,
  };
}

function kindOf(stats: Stats): FileStat['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'link';
  return stats.isSocket() ? 'socket' : 'other';
}

async function link(target: string, path: string): Promise<void> {
  const temporary = unfinishedFile(path);
  await symlink(target, temporary);
  try {
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
}

async function unlinkThere(path: string): Promise<boolean> {
  await unlink(path);
  return true;
}

async function removeTree(path: string): Promise<boolean> {
  const stats = await lstat(path);
  if (!stats.isDirectory()) {
    throw new AgentError('FILE_ACCESS', `Cannot remove ${path} as a directory: it is not one`, {
      hint: 'Look at what stands there and move it away',
    });
  }
  await rm(path, { recursive: true, force: true });
  return true;
}

async function removeEmptyDirectory(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (thrown) {
    if (STAYING_CODES.includes(systemCode(thrown) ?? '')) {
      return false;
    }
    throw thrown;
  }
}

async function diskSpace(path: string): Promise<DiskSpace> {
  let existing = path;
  for (;;) {
    try {
      const space = await statfs(existing);
      return {
        freeBytes: space.bavail * space.bsize,
        totalBytes: space.blocks * space.bsize,
        freeInodes: space.ffree,
        totalInodes: space.files,
      };
    } catch (thrown) {
      if (systemCode(thrown) !== 'ENOENT' || existing === dirname(existing)) {
        throw thrown;
      }
      existing = dirname(existing);
    }
  }
}
