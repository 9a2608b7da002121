/** What `status` says where no daemon answers, and how long it waits for one. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cliContext, type ScriptedAnswer } from '../support/cli-context.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const UNIT_FILE = 'etc/systemd/system/pipeops-agent.service';
const SHOW = 'systemctl show --property=ActiveState --value pipeops-agent.service';
const JOURNAL = 'journalctl --unit pipeops-agent.service --lines 20 --no-pager --output cat';

let directory: TempDirectory;
let clock: ManualClock;

beforeEach(async () => {
  directory = await tempDirectory();
  clock = manualClock();
});
afterEach(async () => await directory[Symbol.asyncDispose]());

/** What Bun's fetch throws at a socket. */
const failing = (code: string) => async (): Promise<Response> => {
  throw Object.assign(new TypeError(`${code}: Was there a typo in the url or port?`), { code });
};

async function setUp(): Promise<void> {
  await mkdir(join(directory.path, 'etc/systemd/system'), { recursive: true });
  await Bun.write(join(directory.path, UNIT_FILE), '');
}

function cli(options: {
  readonly state?: string;
  readonly journal?: string;
  readonly code?: string;
  readonly uid?: number;
}) {
  const programs: Record<string, ScriptedAnswer> = {
    [SHOW]: { stdout: options.state ?? '' },
    [JOURNAL]: { stdout: options.journal ?? '' },
  };
  const { uid = 0, code = 'ENOENT' } = options;
  return cliContext({ root: directory.path, clock, programs, uid, http: failing(code) });
}

/** The limit of one question is longer than the pause between two. */
const isPausing = () => clock.remainingMs().some((ms) => ms <= 250);

/** Runs `status`, and lets five seconds pass wherever it waits. */
async function statusOf(options: Parameters<typeof cli>[0]) {
  const startedAt = clock.monotonic();
  let ended = false;
  const running = cli(options)
    .run('status')
    .finally(() => {
      ended = true;
    });
  while (!ended) {
    await until('it ends, or waits before it asks again', () => ended || isPausing());
    clock.advance(ended ? 0 : 250);
  }
  const { exitCode, stderr } = await running;
  return { exitCode, stderr, waitedMs: clock.monotonic() - startedAt };
}

test('before it is installed status says how to install, at once', async () => {
  expect(await statusOf({})).toEqual({
    exitCode: 4,
    waitedMs: 0,
    stderr:
      'pipeops-agent: error: pipeops-agent is not set up on this machine [NOT_INSTALLED]\n' +
      'pipeops-agent: hint: Make it a server: sudo pipeops-agent install; or a worker: sudo pipeops-agent join\n',
  });
});

test('while it is stopped status says how to start it, at once', async () => {
  await setUp();
  expect(await statusOf({ state: 'inactive' })).toEqual({
    exitCode: 6,
    waitedMs: 0,
    stderr:
      'pipeops-agent: error: The agent is stopped [DAEMON_UNREACHABLE]\n' +
      'pipeops-agent: hint: Start it: sudo systemctl start pipeops-agent\n',
  });
});

test('where it has failed status shows the last error that it told', async () => {
  await setUp();
  const journal =
    'pipeops-agent: error: The configuration has one problem [CONFIG_INVALID]\n' +
    'pipeops-agent: hint: Correct it\nFailed with result';
  expect(await statusOf({ state: 'failed', journal })).toEqual({
    exitCode: 6,
    waitedMs: 0,
    stderr:
      'pipeops-agent: error: The agent has failed: The configuration has one problem [CONFIG_INVALID] [DAEMON_UNREACHABLE]\n' +
      'pipeops-agent: hint: See why: sudo journalctl -u pipeops-agent\n',
  });
});

test.each([
  ['activating', 'ENOENT', 'The agent starts, and has not got ready yet'],
  ['active', 'ECONNREFUSED', 'The agent runs, but does not answer: it refuses connections'],
])('a unit that is %s is waited for, five seconds', async (state, code, text) => {
  await setUp();
  const { exitCode, stderr, waitedMs } = await statusOf({ state, code });
  expect({ exitCode, waitedMs }).toEqual({ exitCode: 6, waitedMs: 5_000 });
  expect(stderr).toContain(`error: ${text} [DAEMON_UNREACHABLE]\n`);
});

test('an answer within that time is the answer', async () => {
  await setUp();
  let asked = 0;
  const http = async () => {
    asked += 1;
    return asked < 3 ? await failing('ENOENT')() : new Response('not ours');
  };
  const programs = { [SHOW]: { stdout: 'activating' }, [JOURNAL]: {} };
  const running = cliContext({ root: directory.path, clock, programs, http }).run('status');
  for (let waits = 0; waits < 2; waits += 1) {
    await until('it waits before it asks again', isPausing);
    clock.advance(250);
  }
  expect((await running).stderr).toContain('another version');
});

test('who may not open the socket is told to use sudo, at once', async () => {
  await setUp();
  expect(await statusOf({ state: 'active', code: 'EACCES', uid: 1000 })).toEqual({
    exitCode: 4,
    waitedMs: 0,
    stderr:
      'pipeops-agent: error: The socket /run/pipeops-agent/agent.sock is for root [NOT_ROOT]\n' +
      'pipeops-agent: hint: Run the same command with sudo\n',
  });
});
