import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemFileLock } from '../../src/platform/file-lock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const HOLDER = join(import.meta.dir, 'lock-holder.ts');

/** Another process that asks for the lock; its first line says what came of it. */
function startHolder(path: string, holder: string) {
  const child = Bun.spawn([process.execPath, HOLDER, path, holder], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const outcome = async () => {
    for await (const chunk of child.stdout) {
      return Buffer.from(chunk).toString().trim();
    }
    return 'ended without a word';
  };
  return {
    outcome,
    /** Lets it give the lock back and end. */
    finish: async () => {
      await child.stdin.end();
      await child.exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** Takes the lock, gives it back, and tells what came of it. */
function tryLock(path: string): string {
  const outcome = systemFileLock(path, 'this test');
  if ('heldBy' in outcome) {
    return `held by ${outcome.heldBy}`;
  }
  outcome.release();
  return 'locked';
}

describe('systemFileLock()', () => {
  test('tells who holds it while another process does, and is free after that', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'lock');
    const other = startHolder(path, 'install (pid 812)');
    expect(await other.outcome()).toBe('locked');
    expect(tryLock(path)).toBe('held by install (pid 812)');

    await other.finish();
    expect(tryLock(path)).toBe('locked');
  });

  test('is free when its holder was killed', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'lock');
    const other = startHolder(path, 'a long name of one that will be killed');
    expect(await other.outcome()).toBe('locked');
    await other.kill();

    expect(existsSync(path)).toBeTrue();
    const outcome = systemFileLock(path, 'install');
    expect({ free: 'release' in outcome, seenByOthers: tryLock(path) }).toEqual({
      free: true,
      seenByOthers: 'held by install',
    });
  });

  test('keeps other processes out', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'lock');
    const outcome = systemFileLock(path, 'this test');
    const other = startHolder(path, 'other');
    expect(await other.outcome()).toBe('held by this test');
    await other.finish();
    expect('release' in outcome).toBeTrue();
  });

  test('leaves no file behind when it is given back', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'lock');
    expect(tryLock(path)).toBe('locked');
    expect(existsSync(path)).toBeFalse();
  });

  test('does not know the holder of a lock without a name', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'lock');
    const outcome = systemFileLock(path, '');
    expect({ free: 'release' in outcome, seenByOthers: tryLock(path) }).toEqual({
      free: true,
      seenByOthers: 'held by another process',
    });
  });
});
