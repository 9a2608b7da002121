/**
 * A machine without a control plane, and its way to one: no restart, no old verdict, and each start
 * that fails says why.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DetailedHealth } from '../../src/protocol/local-api.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, openStand, runForDocument, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const ALL_TIMEOUT_MS = 900_000;
const CHANGE_TIMEOUT_MS = 60_000;
/** Far less than the 10 min that `install` waits for a k3s that may still come. */
const GIVEN_UP_WITHIN_MS = 150_000;
const AGENT = '/root/pipeops-agent';
const STATE = '/var/lib/pipeops-agent';
const CREDENTIAL = `${STATE}/credentials/control-plane-token`;
const BAD_CONFIG = '/etc/rancher/k3s/config.yaml.d/90-bad.yaml';
const INSTALL = ['install', '--token-file', TOKEN_FILE];

const progress = reportProgress('standalone');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('standalone');
  const smallDisks = { [STATE]: '16M' };
  machine = await stand.lab.boot({ name: 'lonely', base: 'kubernetes', smallDisks });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

/** Runs the agent as root: its document, and its exit code. */
const run = (...args: readonly string[]) =>
  runForDocument(stand, machine, [AGENT, ...args], TEST_TIMEOUT_MS);

async function session() {
  const { stdout } = await machine.exec(['pipeops-agent', 'status', '--json']);
  return DetailedHealth.shape.session.parse(JSON.parse(stdout).session);
}

const becomes = (phase: DetailedHealth['session']['phase']) =>
  waitUntil(`the session is ${phase}`, CHANGE_TIMEOUT_MS, async () => {
    return (await session().catch(() => undefined))?.phase === phase;
  });

/** As the daemon's user: a file of root's in its place could not be read. */
const putToken = (token: string) => {
  const script = `printf '%s\\n' ${token} > ${CREDENTIAL}`;
  return machine.exec(['runuser', '-u', 'pipeops-agent', '--', 'sh', '-c', script]);
};

/** In this order, each on what the one before has left: tests run in any. */
const steps: { readonly title: string; readonly work: () => Promise<void> }[] = [];
const step = (title: string, work: () => Promise<void>) => void steps.push({ title, work });

step('install without a token makes a standalone machine that is ready', async () => {
  expect(await run('install')).toMatchObject({ exitCode: 0, control_plane: null });
  expect(await session()).toMatchObject({ phase: 'standalone', last_error: null });
});

step(
  "the local token and its directory are root's, and kubectl goes through the agent with them",
  async () => {
    const runtime = '/run/pipeops-agent';
    const names = ['', '/local-token', '/agent.sock', '/daemon', '/daemon/agent.sock'];
    const paths = names.map((name) => runtime + name);
    const { stdout } = await machine.exec(['stat', '-c', '%U:%G %a %F', ...paths]);
    expect(stdout.trim().split('\n')).toEqual([
      'root:root 755 directory',
      'root:pipeops-agent 640 regular file',
      'root:root 777 symbolic link',
      'pipeops-agent:pipeops-agent 755 directory',
      'pipeops-agent:pipeops-agent 660 socket',
    ]);
    const asDaemon = ['runuser', '-u', 'pipeops-agent', '--', 'sh', '-c'];
    const takeOver = `ln -sf /root/x ${runtime}/local-token || mv ${runtime}/local-token ${runtime}/x`;
    const taken = await machine.exec([...asDaemon, takeOver], { check: false });
    expect(taken.exitCode).not.toBe(0);
    await machine.exec(['pipeops-agent', 'kubeconfig', '--local', '--output', '/root/local']);
    const get = ['k3s', 'kubectl', '--kubeconfig', '/root/local', 'get', 'nodes', '-o', 'name'];
    expect((await machine.exec(get)).stdout).toContain('node/');
  },
);

step(
  'a good token after a wrong one connects it, and nothing is told of the wrong one',
  async () => {
    await putToken('not-the-token');
    await becomes('refused');
    const connected = await run(...INSTALL);
    expect(connected).toMatchObject({ exitCode: 0, control_plane: stand.controlPlaneUrl });
    expect(await session()).toMatchObject({ phase: 'connected', last_error: null });
  },
);

step('a token that was taken away and is given again connects it again', async () => {
  await machine.exec(['rm', CREDENTIAL]);
  await machine.exec(['systemctl', 'restart', 'pipeops-agent']);
  await becomes('standalone');
  const connected = await run(...INSTALL);
  expect(connected).toMatchObject({ exitCode: 0, control_plane: stand.controlPlaneUrl });
  expect(await session()).toMatchObject({ phase: 'connected' });
});

step(
  'a full disk at its start is named with its path, and it starts when there is room again',
  async () => {
    await machine.exec(['systemctl', 'stop', 'pipeops-agent']);
    // What it makes at its start must be made anew, and there is no room for it.
    await machine.exec(['rm', `${STATE}/credentials/local-tls.pem`]);
    await machine.exec(['sh', '-c', `head -c 64M /dev/zero > ${STATE}/filler || true`]);
    const full = await run(...INSTALL);
    expect(full).toMatchObject({ exitCode: 4, error: { code: 'DISK_FULL' } });
    expect(full.error.message).toContain(STATE);
    await machine.exec(['rm', `${STATE}/filler`]);
    await becomes('connected');
    expect(await run(...INSTALL)).toMatchObject({ exitCode: 0 });
  },
);

step('a k3s that dies at every start is given up, with the line that explains', async () => {
  await machine.writeFile(BAD_CONFIG, 'cluster-cidr: nonsense\n');
  await machine.exec(['systemctl', 'restart', '--no-block', 'k3s']);
  const startedAt = performance.now();
  const failed = await run(...INSTALL);
  expect(failed).toMatchObject({ exitCode: 7, error: { code: 'K3S_NOT_READY' } });
  expect(failed.error.message).toContain('--cluster-cidr: invalid CIDR address: nonsense');
  expect(performance.now() - startedAt).toBeLessThan(GIVEN_UP_WITHIN_MS);
  await machine.exec(['rm', BAD_CONFIG]);
  expect(await run(...INSTALL)).toMatchObject({ exitCode: 0 });
});

test(
  'a standalone machine finds its way to a control plane, and each start that fails says why',
  async () => {
    for (const { title, work } of steps) {
      await progress.phase(title, work);
    }
    expect(steps.length).toBeGreaterThan(0);
  },
  ALL_TIMEOUT_MS,
);
