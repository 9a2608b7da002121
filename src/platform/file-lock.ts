import { dlopen, FFIType } from 'bun:ffi';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { AgentError } from '../core/errors.ts';
import type { FileLock } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';

/** flock(2); the same on every Linux. */
const LOCK_EX = 2;
const LOCK_NB = 4;
/** Another process may remove the file between our open and our lock, but not for ever. */
const ATTEMPTS_MAX = 10;

/** The kernel's lock: it ends with its process, however that ends. */
export const systemFileLock: FileLock = (path, holder) => {
  const libc = dlopen('libc.so.6', {
    flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  });
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const descriptor = openLockFile(path);
    if (libc.symbols.flock(descriptor, LOCK_EX | LOCK_NB) !== 0) {
      closeSync(descriptor);
      return { heldBy: readHolder(path) };
    }
    if (isStillThere(path, descriptor)) {
      ftruncateSync(descriptor);
      writeSync(descriptor, holder);
      return {
        release: () => {
          unlinkSync(path);
          closeSync(descriptor);
        },
      };
    }
    closeSync(descriptor);
  }
  return { heldBy: 'several processes that come and go' };
};

function openLockFile(path: string): number {
  try {
    return openSync(path, 'a+', 0o600);
  } catch (cause) {
    throw new AgentError('FILE_ACCESS', `Cannot lock ${path}: ${troubleOf(cause)}`, {
      hint: `See what stands there: ls -ld ${path}`,
      cause,
    });
  }
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || 'another process';
  } catch {
    return 'another process'; // It has just ended: only its name is lost.
  }
}

function isStillThere(path: string, descriptor: number): boolean {
  try {
    return statSync(path).ino === fstatSync(descriptor).ino;
  } catch {
    return false; // Removed meanwhile: the next attempt makes it anew.
  }
}
