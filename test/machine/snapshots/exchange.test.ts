import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import type { Files } from '../../../src/core/ports.ts';
import type { MachineContext } from '../../../src/machine/context.ts';
import { exchangeData } from '../../../src/machine/snapshots/exchange.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const PLACES = ['a', 'b', 'c'].map((name) => `/var/lib/rancher/k3s/server/${name}`);

let directory: TempDirectory;
let files: Files;
let started: string[];
beforeEach(async () => {
  directory = await tempDirectory();
  files = systemFiles(directory.path);
  started = [];
  await files.makeDirectory('/var/lib/rancher/k3s/server', { mode: 0o700 });
  for (const path of PLACES) {
    await files.writeAtomic(path, `content of ${path}`, { mode: 0o600 });
  }
});
afterEach(() => directory[Symbol.asyncDispose]());

/** On a machine where one of the places is on another disk. */
function contextWith(rename: Files['rename']): MachineContext {
  const context: Partial<MachineContext> = {
    files: { ...files, rename },
    signal: new AbortController().signal,
    exec: {
      run: async (argv) => {
        started.push(argv.join(' '));
        return { exitCode: 0, stdout: '', stderr: '' };
      },
    },
  };
  return context as MachineContext;
}

test.each(PLACES)('where %s cannot be moved, nothing is, and k3s runs as before', async (path) => {
  const otherDisk = new AgentError('FILE_ACCESS', 'Cannot move it to another disk', {
    hint: 'Look',
  });
  const context = contextWith(async (from, to) => {
    if (from === path) {
      throw otherDisk;
    }
    await files.rename(from, to);
  });
  const exchange = {
    node: 'node-1',
    places: PLACES,
    keptIn: '/var/lib/rancher/k3s/before',
    put: () => Promise.reject(new Error('nothing is put in place')),
    tidy: async () => undefined,
  };
  expect(await failureOf(() => exchangeData(context, exchange, () => undefined))).toBe(otherDisk);
  for (const each of PLACES) {
    expect(await files.readText(each)).toBe(`content of ${each}`);
  }
  expect(await files.stat('/var/lib/rancher/k3s/before')).toBeUndefined();
  expect(started).toEqual([
    'systemctl stop k3s.service',
    'systemctl disable --quiet k3s.service',
    'systemctl enable --quiet k3s.service',
    'systemctl start --no-block k3s.service',
  ]);
});
