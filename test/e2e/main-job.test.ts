/**
 * What a new user lives through, on real machines with the real installer, systemd, Kubernetes and
 * the compiled executable: install by one line, deploy, join, outage, crash, reboot, uninstall.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WEB_IMAGE, WEB_PORT } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import type { MachineState } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { expectAsBefore } from './as-before.ts';
import {
  bootTwo,
  installByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN,
  TOKEN_FILE,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
const OUTAGE_MS = 60_000;
const AGENT_GROUP = 'pipeops-agent';
const UNIT = 'pipeops-agent.service';

const progress = reportProgress('main-job');
let stand: Stand;
let server: Machine;
let worker: Machine;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('main-job');
  [server, worker] = await bootTwo(stand);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

const kubectl = async (...args: string[]) =>
  (await server.exec(['k3s', 'kubectl', ...args])).stdout;

const deploy = (name: string, replicas: number) =>
  stand.command(agentId, 'deploy', {
    name,
    namespace: 'default',
    image: WEB_IMAGE,
    replicas,
    ports: [{ container_port: WEB_PORT }],
  });

async function fetchService(name: string): Promise<string> {
  return await waitUntil(`the Service "${name}" answers`, SETTLE_TIMEOUT_MS, async () => {
    const address = await kubectl('get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}');
    return (await server.exec(['curl', '-fsS', '-m', '5', `http://${address}:${WEB_PORT}/`]))
      .stdout;
  });
}

async function unitProperty(machine: Machine, property: string): Promise<string> {
  const { stdout } = await machine.exec(['systemctl', 'show', UNIT, '-P', property]);
  return stdout.trim();
}

const waitForReady = (machine: Machine) =>
  waitUntil(`the agent on ${machine.name} is ready`, SETTLE_TIMEOUT_MS, async () => {
    const { exitCode } = await machine.exec(['curl', '-fsS', 'http://127.0.0.1:8080/ready'], {
      check: false,
    });
    return exitCode === 0;
  });

test(
  'a bare machine becomes a managed cluster by one line, and goes back to what it was',
  async () => {
    await stand.equip(server);
    const before = [await server.snapshotState(), await worker.snapshotState()] as const;
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-main-job'), async () => {
      await installServer();
      await deployThroughControlPlane();
      await joinWorker();
      await runOnBothNodes();
      await confinePodsByDefault();
      await surviveOutage();
      await lostServerIsNamed();
      await surviveCrash();
      await surviveReboot();
      await secondInstallChangesNothing();
      await keepSecretsOutOfSight();
      await uninstallBoth(before);
    });
  },
  TEST_TIMEOUT_MS,
);

interface InstallSummary {
  readonly steps: readonly { id: string; changed: boolean; seconds: number }[];
}

async function runOneLine(): Promise<InstallSummary> {
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e', '--json'];
  return JSON.parse((await installByOneLine(stand, server, args)).stdout);
}

async function installServer(): Promise<void> {
  const summary = await progress.phase('one line: ready and registered', runOneLine);
  for (const { id, seconds } of summary.steps) {
    process.stderr.write(`    ${String(seconds).padStart(7)} s ${id}\n`);
  }
  const agent = await stand.registeredAgent();
  agentId = agent.id;
  expect({
    hostname: agent.registration.labels['hostname'],
    cluster: agent.cluster_name,
    errors: agent.protocol_errors,
  }).toEqual({ hostname: 'server', cluster: 'e2e', errors: [] });
  expect(await unitProperty(server, 'User')).toBe('pipeops-agent');
  const rss = await server.exec(['sh', '-c', `ps -o rss= -p $(systemctl show ${UNIT} -P MainPID)`]);
  process.stderr.write(`    agent RSS ${Math.round(Number(rss.stdout) / 1024)} MiB\n`);
  const exposure = await server.exec(['systemd-analyze', 'security', '--no-pager', UNIT]);
  process.stderr.write(`    ${exposure.stdout.trim().split('\n').at(-1)}\n`);
}

async function deployThroughControlPlane(): Promise<void> {
  const command = await progress.phase('deploy', async () =>
    stand.finished(agentId, await deploy('web', 1)),
  );
  expect(command.result).toMatchObject({ success: true });
  expect(await fetchService('web')).toBe('hello from pod\n');
}

async function joinWorker(): Promise<void> {
  const id = await progress.phase('join', () => joinByToken(stand, server, worker));
  await waitUntil('both nodes are ready', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(server)) === 2;
  });
  await waitForReady(worker);
  await waitUntil('the token is used up', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await server.exec(['pipeops-agent', 'token', 'list', '--json']);
    return JSON.parse(stdout).tokens.every((each: { id: string }) => each.id !== id);
  });
}

async function runOnBothNodes(): Promise<void> {
  const scaled = await stand.command(agentId, 'scale', {
    name: 'web',
    namespace: 'default',
    replicas: 4,
  });
  expect((await stand.finished(agentId, scaled)).result).toMatchObject({ success: true });
  await waitUntil('pods run on both nodes', SETTLE_TIMEOUT_MS, async () => {
    const nodes = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.nodeName}');
    return nodes.includes('server') && nodes.includes('worker');
  });
  expect(await fetchService('web')).toBe('hello from pod\n');
  await seenOnTheServer();
}

/** What a person at the server sees of it, and a program with the local token. */
async function seenOnTheServer(): Promise<void> {
  const read = async (...argv: readonly [string, ...string[]]) =>
    JSON.parse((await server.exec([...argv])).stdout);
  const { workloads, health } = await read('pipeops-agent', 'status', '--json');
  expect(workloads.deployments).toMatchObject({ ready: workloads.deployments.total });
  expect(health).toMatchObject({ ready: true, problems: [] });
  const { commands } = await read('pipeops-agent', 'commands', 'list', '--json');
  expect(commands[0]).toMatchObject({ type: 'scale', outcome: 'succeeded' });
  const shown = await server.exec(['pipeops-agent', 'commands', 'show', commands[0].id]);
  expect(shown.stdout).toMatch(/^State +succeeded$/m);
  const token = '"Authorization: Bearer $(cat /run/pipeops-agent/local-token)"';
  const pods = 'http://127.0.0.1:8080/api/k8s/pods?namespace=default&phase=Running&limit=1';
  expect(await read('sh', '-c', `curl -fsS -H ${token} '${pods}'`)).toMatchObject({ total: 4 });
}

/** A command that was fetched before the outage has its result afterwards. */
async function surviveOutage(): Promise<void> {
  const pid = await unitProperty(server, 'MainPID');
  const id = await deploy('outage', 1);
  await waitUntil('the command was fetched', SETTLE_TIMEOUT_MS, async () => {
    return (await stand.commandState(agentId, id)).state !== 'queued';
  });
  await progress.phase('control plane down', async () => {
    await stand.stopControlPlane();
    // Its node is missed within the outage: Kubernetes gives it 40 s and more.
    await worker.exec(['systemctl', 'stop', 'k3s-agent']);
    await Bun.sleep(OUTAGE_MS); // The length of the outage is what this is about.
    await waitUntil('the agent says what is wrong', SETTLE_TIMEOUT_MS, async () => {
      const status = await server.exec(['pipeops-agent', 'status', '--json']);
      return JSON.parse(status.stdout).session.phase === 'unreachable';
    });
    await server.exec(['curl', '-fsS', 'http://127.0.0.1:8080/health']);
    await lostWorkerIsNamed();
    await worker.exec(['systemctl', 'start', 'k3s-agent']);
    stand.startControlPlane();
  });
  const command = await progress.phase('recovered', () => stand.finished(agentId, id));
  expect(command).toMatchObject({ extra_results: 0, result: { success: true } });
  await waitForReady(server);
  expect(await unitProperty(server, 'MainPID')).toBe(pid);
}

async function lostWorkerIsNamed(): Promise<void> {
  await waitUntil('status names the node that is down', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await server.exec(['pipeops-agent', 'status']);
    return stdout.includes('not ready: worker') && stdout.includes('[NODE_NOT_READY]');
  });
  const onWorker = await worker.exec(['pipeops-agent', 'status']);
  expect(onWorker.stdout).toContain('k3s-agent.service inactive');
  expect(onWorker.stdout).toMatch(/^Ready +no$/m);
}

/** Without its server a worker is not ready, and both machines say what is the matter. */
async function lostServerIsNamed(): Promise<void> {
  await waitUntil('systemctl status says that it is ready', SETTLE_TIMEOUT_MS, async () =>
    (await unitProperty(server, 'StatusText')).startsWith('ready'),
  );
  await server.exec(['systemctl', 'stop', 'k3s']);
  await waitUntil('the worker misses its server', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await worker.exec(['pipeops-agent', 'status']);
    return stdout.includes('[SERVER_UNREACHABLE]') && /^Ready +no$/m.test(stdout);
  });
  await waitUntil(
    'systemctl status says why the server is not ready',
    SETTLE_TIMEOUT_MS,
    async () => (await unitProperty(server, 'StatusText')).startsWith('not ready'),
  );
  await server.exec(['systemctl', 'start', 'k3s']);
  await waitForReady(server);
  await waitForReady(worker);
}

async function surviveCrash(): Promise<void> {
  const id = await deploy('crash', 2);
  await waitUntil('the deploy has begun', SETTLE_TIMEOUT_MS, async () => {
    const { exitCode } = await server.exec(['k3s', 'kubectl', 'get', 'deployment', 'crash'], {
      check: false,
    });
    return exitCode === 0;
  });
  await server.exec(['systemctl', 'kill', '--signal=KILL', UNIT]);
  const command = await progress.phase('kill -9 during a deploy', () =>
    stand.finished(agentId, id),
  );
  expect(command).toMatchObject({ extra_results: 0, result: { success: true } });
  expect(await unitProperty(server, 'NRestarts')).toBe('1');
  const generation = ['get', 'deployment', 'crash', '-o', 'jsonpath={.metadata.generation}'];
  expect(await kubectl(...generation)).toBe('1');
  expect(await fetchService('crash')).toBe('hello from pod\n');
}

async function surviveReboot(): Promise<void> {
  await progress.phase('reboot', async () => {
    await server.reboot();
    await waitForReady(server);
  });
  expect(await fetchService('web')).toBe('hello from pod\n');
  const command = await stand.finished(agentId, await deploy('after-reboot', 1));
  expect(command.result).toMatchObject({ success: true });
}

async function secondInstallChangesNothing(): Promise<void> {
  const { steps } = await progress.phase('second install', runOneLine);
  const changed = steps.filter((step) => step.changed);
  expect(changed).toEqual([]);
}

async function keepSecretsOutOfSight(): Promise<void> {
  expect(await server.journal({ lines: 20_000 })).not.toContain(TOKEN);
  const { stdout } = await server.exec(['curl', '-fsS', 'http://127.0.0.1:8080/metrics']);
  expect(stdout).toContain('pipeops_agent_session_connected 1');
  expect(stdout).not.toContain(TOKEN);
  const can = ['auth', 'can-i', '--as=system:serviceaccount:pipeops-system:pipeops-agent'];
  const denied = await Promise.all(
    [
      ['get', 'secrets', '-A'],
      ['escalate', 'clusterroles'],
      ['create', 'pods', '--subresource=exec', '-A'],
      ['get', 'nodes', '--subresource=proxy'],
    ].map(async (question) => {
      const argv = ['k3s', 'kubectl', ...can, ...question];
      return (await server.exec(argv, { check: false })).stdout.trim();
    }),
  );
  expect(denied).toEqual(['no', 'no', 'no', 'no']);
  await keepGroupWithinPolicy();
  await helpStrangersWithoutSecrets();
}

/** What a support bundle of both machines has in it, and what not. */
async function helpStrangersWithoutSecrets(): Promise<void> {
  for (const machine of [server, worker]) {
    const bundle = '/root/support.tar.gz';
    const make = ['pipeops-agent', 'support-bundle', '--output', bundle, '--json'];
    const { parts } = JSON.parse((await machine.exec(make)).stdout);
    const missing = parts.filter(({ problem }: { problem: unknown }) => problem !== null);
    // Nobody may have asked root's helper yet.
    const notHere = [
      'helper.jsonl',
      'helper-other.jsonl',
      ...(machine === server ? [] : ['commands.json', 'policy.yaml']),
    ];
    expect(missing.filter(({ name }: { name: string }) => !notHere.includes(name))).toEqual([]);
    const all = await machine.exec(['tar', '-xzOf', bundle]);
    const secrets = await machine.exec([
      ...['sh', '-c', 'cat "$@" 2>/dev/null || true', 'sh', '/run/pipeops-agent/local-token'],
      ...['/etc/rancher/node/password', '/var/lib/rancher/k3s/server/token'],
    ]);
    const known = [
      TOKEN,
      ...secrets.stdout.split('\n').map((line) => line.split(':').at(-1) ?? ''),
    ];
    expect(known.filter((secret) => secret !== '' && all.stdout.includes(secret))).toEqual([]);
    expect(all.stdout).toContain('Support bundle of pipeops-agent on ');
    await machine.exec(['rm', bundle]); // It is not what uninstall has to remove.
  }
}

/** Who is in the group uses the agent, and cannot take its account from it. */
async function keepGroupWithinPolicy(): Promise<void> {
  const asMember = ['setpriv', '--reuid=nobody', '--regid=nogroup', `--groups=${AGENT_GROUP}`];
  const tries = await Promise.all(
    [
      ['cat', '/etc/pipeops-agent/policy.yaml'],
      ['cat', '/run/pipeops-agent/local-token'],
      ['cat', '/etc/pipeops-agent/kubeconfig'],
      ['ls', '/var/lib/pipeops-agent'],
    ].map(async (argv) => {
      const { exitCode } = await server.exec([...asMember, ...argv], { check: false });
      return [argv.at(-1), exitCode === 0];
    }),
  );
  expect(tries).toEqual([
    ['/etc/pipeops-agent/policy.yaml', true],
    ['/run/pipeops-agent/local-token', true],
    ['/etc/pipeops-agent/kubeconfig', false],
    ['/var/lib/pipeops-agent', false],
  ]);
}

/** The application's pods say nothing of seccomp; what runs has a profile all the same. */
async function confinePodsByDefault(): Promise<void> {
  for (const machine of [server, worker]) {
    const ctr = async (...words: string[]) =>
      (await machine.exec(['k3s', 'ctr', '--namespace', 'k8s.io', 'containers', ...words])).stdout;
    const ids = (await ctr('list', '--quiet', 'labels."io.cri-containerd.kind"==container')).trim();
    const confined = await Promise.all(
      ids.split('\n').map(async (id) => {
        const { Spec } = JSON.parse(await ctr('info', id));
        return Spec.linux.seccomp?.defaultAction;
      }),
    );
    expect(confined).toEqual(confined.map(() => 'SCMP_ACT_ERRNO'));
  }
}

async function uninstallBoth(before: readonly [MachineState, MachineState]): Promise<void> {
  await progress.phase('uninstall', async () => {
    for (const machine of [worker, server]) {
      // Without it a worker keeps its node password: see join.test.ts.
      const argv = ['pipeops-agent', 'uninstall', '--yes', '--delete-data'];
      await machine.exec(argv, { timeoutMs: TEST_TIMEOUT_MS });
    }
  });
  await waitUntil('the control plane knows that it left for good', SETTLE_TIMEOUT_MS, async () => {
    return (await stand.registeredAgent()).session === 'gone';
  });
  expect(await (await fetch(stand.adminUrl())).text()).toContain('gone since');
  for (const [index, machine] of [server, worker].entries()) {
    await expectAsBefore(machine, before[index] as MachineState);
  }
}
