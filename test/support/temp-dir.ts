import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TempDirectory extends AsyncDisposable {
  readonly path: string;
}

/** A directory of its own for a test: `await using directory = await tempDirectory()`. */
export function tempDirectory(): Promise<TempDirectory> {
  return directoryIn(tmpdir());
}

/** The same where no disk is waited for, on a machine that has such a place. */
export function memoryDirectory(): Promise<TempDirectory> {
  return directoryIn(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

async function directoryIn(parent: string): Promise<TempDirectory> {
  const path = await mkdtemp(join(parent, 'pipeops-agent-test-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
