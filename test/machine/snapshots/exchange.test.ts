import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import type { Files } from '../../../src/core/ports.ts';
import type { MachineContext } from '../../../src/machine/context.ts';
import { exchangeData } from '../../../src/machine/snapshots/exchange.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const DATA = '/var/lib/rancher/k3s/server/db/state.db';
const PLACES = [DATA, ...['b', 'c'].map((name) => `/var/lib/rancher/k3s/server/${name}`)];
const KEPT_IN = '/var/lib/rancher/k3s/before';
const STOPPED = ['systemctl stop k3s.service', 'systemctl disable --quiet k3s.service'];
const STARTED = ['systemctl enable --quiet k3s.service', 'systemctl start --no-block k3s.service'];

let directory: TempDirectory;
let files: Files;
let started: string[];
let enabled: boolean;
beforeEach(async () => {
  directory = await tempDirectory();
  files = systemFiles(directory.path);
  started = [];
  enabled = true;
  await files.makeDirectory('/var/lib/rancher/k3s/server/db', { mode: 0o700 });
  for (const path of PLACES) {
    await files.writeAtomic(path, `content of ${path}`, { mode: 0o600 });
  }
});
afterEach(() => directory[Symbol.asyncDispose]());

/** @param failing the call of systemctl that does not succeed */
function contextWith(rename: Files['rename'] = files.rename, failing = () => ''): MachineContext {
  const context: Partial<MachineContext> = {
    files: { ...files, rename },
    signal: new AbortController().signal,
    exec: {
      run: async (argv) => {
        if (argv[1] === 'is-enabled') {
          return {
            exitCode: enabled ? 0 : 1,
            stdout: enabled ? 'enabled\n' : 'disabled\n',
            stderr: '',
          };
        }
        started.push(argv.join(' '));
        return { exitCode: argv[1] === failing() ? 1 : 0, stdout: '', stderr: '' };
      },
    },
  };
  return context as MachineContext;
}

/** Whose data cannot be put in place. */
const UNPUT = {
  node: 'node-1',
  places: PLACES,
  keptIn: KEPT_IN,
  put: () => Promise.reject(new AgentError('TOOL_FAILED', 'It cannot be put', { hint: 'Look' })),
  tidy: async () => undefined,
};

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
  expect(await failureOf(() => exchangeData(context, UNPUT, () => undefined))).toBe(otherDisk);
  for (const each of PLACES) {
    expect(await files.readText(each)).toBe(`content of ${each}`);
  }
  expect(await files.stat(KEPT_IN)).toBeUndefined();
  expect(started).toEqual([...STOPPED, ...STARTED]);
});

test('where k3s cannot be kept from a start after a power cut, it runs as before', async () => {
  const context = contextWith(files.rename, () => 'disable');
  expect(await failureOf(() => exchangeData(context, UNPUT, () => undefined))).toMatchObject({
    code: 'TOOL_FAILED',
  });
  expect(await files.readText(DATA)).toBe(`content of ${DATA}`);
  expect(started).toEqual([...STOPPED, ...STARTED]);
});

test('while what was here comes back, a power cut does not let k3s start without it', async () => {
  let whenMovedBack: readonly string[] = [];
  const context = contextWith(async (from, to) => {
    await files.rename(from, to);
    if (to === DATA) {
      whenMovedBack = [...started];
    }
  });
  // As a start that fails has left it.
  const put = async () => {
    started.push(...STARTED);
    await UNPUT.put();
  };
  const exchange = { ...UNPUT, put };
  expect(await failureOf(() => exchangeData(context, exchange, () => undefined))).toMatchObject({
    code: 'TOOL_FAILED',
    message: 'It cannot be put. What was here before is back in place',
  });
  expect(await files.readText(DATA)).toBe(`content of ${DATA}`);
  expect(whenMovedBack).toEqual([...STOPPED, ...STARTED, ...STOPPED]);
  expect(started).toEqual([...STOPPED, ...STARTED, ...STOPPED, ...STARTED]);
});

test('what was here comes back, too, where k3s cannot be kept from a start by then', async () => {
  let failing = '';
  const context = contextWith(files.rename, () => failing);
  const put = async () => {
    failing = 'disable';
    await UNPUT.put();
  };
  const exchange = { ...UNPUT, put };
  expect(await failureOf(() => exchangeData(context, exchange, () => undefined))).toMatchObject({
    message: 'It cannot be put. What was here before is back in place',
  });
  expect(await files.readText(DATA)).toBe(`content of ${DATA}`);
  expect(started).toEqual([...STOPPED, ...STOPPED, ...STARTED]);
});

test('with the data in a database elsewhere, k3s runs as before', async () => {
  await files.remove(DATA);
  expect(await failureOf(() => exchangeData(contextWith(), UNPUT, () => undefined))).toMatchObject({
    message: 'It cannot be put. What was here before is back in place',
  });
  expect(started).toEqual([...STOPPED, ...STOPPED, ...STARTED]);
});

test('after one that was killed, k3s is not started without data: they are aside still', async () => {
  enabled = false;
  for (const path of PLACES) {
    await files.remove(path);
  }
  const context = contextWith();
  expect(await failureOf(() => exchangeData(context, UNPUT, () => undefined))).toMatchObject({
    code: 'TOOL_FAILED',
    message: expect.stringMatching(/k3s stays stopped; see \/var\/lib\/rancher\/k3s\/before-\*$/),
  });
  expect(started).toEqual([...STOPPED, ...STOPPED]);
});
