/** `policy apply` beside the whole daemon in this process: what is asked right after it meets the new policy. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { K3S_SERVER_CA_FILE } from '../../src/core/k3s-places.ts';
import { placesOf } from '../../src/core/places.ts';
import type { Clock, Http } from '../../src/core/ports.ts';
import { POLICY_TIMEOUT_MS } from '../../src/machine/wait-for-policy.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { type CliRun, cliContext } from '../support/cli-context.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { manualClock } from '../support/manual-clock.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const { configDirectory, policyFile } = placesOf();

const TIMEOUT_MS = 20_000;
const CONFIG = 'agent: {id: agent-1}\nhttp: {port: 0, tls_port: 0}\n';
const SECRETS = '/proxy/api/v1/namespaces/shop/secrets';

let machine: TempDirectory;
let kubernetes: FakeKubernetes;
let daemon: RunningDaemon | undefined;
/** The daemon's files, in `/etc/pipeops-agent` of the machine, so that it has the policy file of root. */
let directory: string;

beforeEach(async () => {
  machine = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  directory = join(machine.path, configDirectory);
  await mkdir(directory, { recursive: true });
  await put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
  await put('/etc/group', `pipeops-agent:x:${process.getgid?.() ?? 0}:\n`);
  await put(K3S_SERVER_CA_FILE, 'the certificate');
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await kubernetes[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(machine.path, path)), { recursive: true });
  await writeFile(join(machine.path, path), text, { mode: 0o640 });
}

async function start(): Promise<RunningDaemon> {
  const running = await startDaemon(directory, { kubernetes, credentials: {}, config: CONFIG });
  daemon = running;
  await waitUntil('the daemon answers', TIMEOUT_MS, async () => {
    return (await running.ask('/health').catch(() => '')) !== '';
  });
  return running;
}

interface Around {
  /** ActiveState of the daemon's unit, as systemd shows it. */
  readonly state?: () => string;
  readonly http?: Http;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

function apply(preset: string, { state = () => 'active', ...around }: Around = {}) {
  const kubectl = '/usr/local/bin/k3s kubectl apply --server-side --force-conflicts -f -';
  const show = 'systemctl show --property=ActiveState,Job pipeops-agent.service';
  const cli = cliContext({
    ...around,
    root: machine.path,
    env: { RUNTIME_DIRECTORY: directory },
    programs: { [kubectl]: {}, [show]: () => ({ stdout: `ActiveState=${state()}\nJob=\n` }) },
  });
  return cli.run('policy', 'apply', '--preset', preset, '--json');
}

const said = ({ exitCode, stdout }: CliRun) => [exitCode, JSON.parse(stdout)];
const failure = ({ exitCode, stdout }: CliRun) => ({ exitCode, ...JSON.parse(stdout).error });
const written = () => Bun.file(join(machine.path, policyFile)).text();
const isRefused = async (running: RunningDaemon) =>
  (await running.ask(SECRETS)).includes('secrets.read');

test('the first request after policy apply meets the new policy', async () => {
  const running = await start();
  const refused = [await isRefused(running)];
  for (const preset of ['operate', 'standard', 'operate']) {
    expect(said(await apply(preset))).toEqual([
      0,
      {
        preset,
        previous_preset: expect.anything(),
        file: null,
        previous_file_kept_as: null,
        other_servers: [],
        in_force: true,
      },
    ]);
    refused.push(await isRefused(running));
  }
  expect(refused).toEqual([true, false, true, false]);
});

test('policy apply waits for a daemon that is starting', async () => {
  let starting: Promise<RunningDaemon> | undefined;
  const applied = await apply('operate', {
    state: () => {
      starting ??= start();
      return 'activating';
    },
  });
  const running = await starting;
  expect(said(applied)).toEqual([
    0,
    {
      preset: 'operate',
      previous_preset: 'standard',
      file: null,
      previous_file_kept_as: null,
      other_servers: [],
      in_force: true,
    },
  ]);
  expect(running && (await isRefused(running))).toBe(false);
});

test('policy apply does not wait for a daemon that does not run', async () => {
  const applied = await apply('operate', { state: () => 'inactive' });
  expect(said(applied)).toEqual([
    0,
    {
      preset: 'operate',
      previous_preset: 'standard',
      file: null,
      previous_file_kept_as: null,
      other_servers: [],
      in_force: false,
    },
  ]);
  expect(await isRefused(await start())).toBe(false);
});

test('policy apply tells what the daemon has against the file', async () => {
  const running = await start();
  // As when the daemon may not read it, or knows a key less than this program.
  const spoiling: Http = async (url, init) => {
    await put(policyFile, 'preset: operate\nfuture: true\n');
    return await systemHttp(url, init);
  };
  expect(failure(await apply('operate', { http: spoiling }))).toEqual({
    exitCode: 3,
    code: 'POLICY_INVALID',
    message:
      'The policy is written, but the agent cannot use it and refuses everything: ' +
      'The policy has one problem:\n  - line 2: future: is not a key',
    hint: expect.stringContaining('as docs/POLICY.md says'),
  });
  expect(await running.ask(SECRETS)).toContain('file/invalid');
});

test('policy apply ends when the daemon gives no answer in time', async () => {
  const clock = manualClock();
  const applying = apply('operate', { clock });
  await clock.whenSleeping(1);
  clock.advance(POLICY_TIMEOUT_MS + 1);
  expect(failure(await applying)).toEqual({
    exitCode: 6,
    code: 'DAEMON_UNREACHABLE',
    message: expect.stringContaining('The policy is written, but the agent does not say'),
    hint: expect.stringContaining('systemctl status pipeops-agent'),
  });
  expect(await written()).toEndWith('preset: operate\n');
});

test('policy apply that mends the file is heard of by the very next question', async () => {
  await put(policyFile, 'preset: everything\n');
  const running = await start();
  // What was found just before must not be told again, however short ago it was.
  expect(await running.ask('/ready')).toContain('POLICY_INVALID');
  expect(said(await apply('operate'))).toMatchObject([0, { in_force: true }]);
  expect(await running.ask('/ready')).not.toContain('POLICY_INVALID');
});

test('policy apply that is interrupted while it waits leaves the policy written', async () => {
  const interrupt = new AbortController();
  const state = () => {
    interrupt.abort();
    return 'activating';
  };
  const interrupted = await apply('operate', { state, signal: interrupt.signal });
  expect(failure(interrupted)).toMatchObject({ exitCode: 130, code: 'INTERRUPTED' });
  expect(await written()).toEndWith('preset: operate\n');
});

test('policy apply says so when a daemon of an older version takes it up by itself', async () => {
  const older: Http = async () => Response.json({ error: { code: 'NOT_FOUND' } }, { status: 404 });
  expect(said(await apply('operate', { http: older }))).toEqual([
    0,
    {
      preset: 'operate',
      previous_preset: 'standard',
      file: null,
      previous_file_kept_as: null,
      other_servers: [],
      in_force: false,
    },
  ]);
});
