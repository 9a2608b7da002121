/**
 * logs, exec, cordon, uncordon and drain on real machines, through the control plane and with the
 * agent's own account: what its RBAC allows is part of the test.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import {
  bootTwo,
  installByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const SETTLE_TIMEOUT_MS = 90_000;
const UNIT = 'pipeops-agent.service';
const NAMESPACE = 'node-commands';
const MISSING_IMAGE = 'docker.io/pipeops/none:1';

const progress = reportProgress('node-commands');
let stand: Stand;
let server: Machine;
let worker: Machine;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('node-commands');
  [server, worker] = await bootTwo(stand);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

const kubectl = async (args: readonly string[], stdin?: string) =>
  (
    await server.exec(
      ['k3s', 'kubectl', '--namespace', NAMESPACE, ...args],
      stdin === undefined ? {} : { stdin },
    )
  ).stdout;

/** Sends a command and gives its result. */
async function run(type: string, payload: Record<string, unknown>) {
  const id = await stand.command(agentId, type, payload);
  const { result, extra_results } = await stand.finished(agentId, id);
  expect(extra_results).toBe(0);
  return result as Record<string, unknown> & { output: string };
}

const inNamespace = (payload: Record<string, unknown>) => ({ namespace: NAMESPACE, ...payload });

/** A Deployment, or a DaemonSet, whose containers run a shell script and end when asked to. */
function workload(name: string, replicas: number | undefined, scripts: Record<string, string>) {
  const containers = Object.entries(scripts).map(([container, script]) => ({
    name: container,
    image: WEB_IMAGE,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', `${script}; trap 'exit 0' TERM; while true; do sleep 1; done`],
  }));
  const metadata = { labels: { app: name } };
  return {
    apiVersion: 'apps/v1',
    kind: replicas === undefined ? 'DaemonSet' : 'Deployment',
    metadata: { name },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: metadata.labels },
      template: { metadata, spec: { containers } },
    },
  };
}

const applyAll = (items: readonly object[]) =>
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

const podsOn = async (node: string) =>
  (
    await kubectl([
      ...['get', 'pods', '--field-selector', `spec.nodeName=${node}`],
      ...['-o', 'jsonpath={.items[*].metadata.name}'],
    ])
  )
    .split(' ')
    .filter((name) => name !== '');

async function podWith(image: string): Promise<string> {
  const format = '{range .items[*]}{.metadata.name} {.spec.containers[0].image}{"\\n"}{end}';
  const lines = (await kubectl(['get', 'pods', '-o', `jsonpath=${format}`])).split('\n');
  return lines.find((line) => line.endsWith(` ${image}`))?.split(' ')[0] ?? '';
}

test(
  'the control plane reads logs, runs programs and moves pods away from a node',
  async () => {
    await stand.equip(server);
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-node-commands'), async () => {
      await installBoth();
      await progress.phase('logs', readLogs);
      await progress.phase('exec is refused by the standard policy', refuseExec);
      await progress.phase('exec', runPrograms);
      await progress.phase('exec: cancelled while it runs', cancelProgram);
      await progress.phase('exec: kill -9 of the daemon meanwhile', runAtMostOnce);
      await progress.phase('cordon and uncordon', cordonAndUncordon);
      await progress.phase('drain', drainWorker);
    });
  },
  TEST_TIMEOUT_MS,
);

async function installBoth(): Promise<void> {
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'node-commands', '--json'];
  await progress.phase('install', () => installByOneLine(stand, server, args));
  agentId = (await stand.registeredAgent()).id;
  await progress.phase('join', () => joinByToken(stand, server, worker));
  await waitUntil('both nodes are ready', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(server)) === 2;
  });
  await server.exec(['k3s', 'kubectl', 'create', 'namespace', NAMESPACE]);
  await applyAll([
    workload('two', 2, { main: 'echo one; echo two', side: 'true' }),
    workload('ends', 1, { main: 'echo last words; exit 3' }),
    workload('missing', 1, { main: 'true' }),
  ]);
  await kubectl(['set', 'image', 'deployment/missing', `main=${MISSING_IMAGE}`]);
  await kubectl(['rollout', 'status', 'deployment/two', '--timeout=60s']);
}

async function readLogs(): Promise<void> {
  const several = await run('logs', inNamespace({ name: 'two' }));
  expect(several).toMatchObject({ success: false, error_code: 'COMMAND_INVALID' });
  expect(several['error']).toContain('main, side');
  const pods = (await kubectl(['get', 'pods', '-l', 'app=two', '-o', 'name']))
    .trim()
    .split('\n')
    .map((name) => name.replace('pod/', ''))
    .sort();
  const newest = pods.map((pod) => `[${pod}] two\n`).join('');
  // A pod is ready before its first lines are in its log.
  await waitUntil('both have written all of it', SETTLE_TIMEOUT_MS, async () => {
    const both = await run('logs', inNamespace({ name: 'two', container: 'main', lines: 1 }));
    return both.output === newest;
  });
  const one = await run('logs', inNamespace({ pod: pods[0], container: 'main' }));
  expect(one).toMatchObject({ success: true, output: 'one\ntwo\n' });
  expect(
    await run('logs', inNamespace({ pod: pods[0], container: 'main', previous: true })),
  ).toMatchObject({ success: false, error_code: 'NOT_FOUND' });
  const previous = await waitUntil('a container was restarted', SETTLE_TIMEOUT_MS, async () => {
    const result = await run('logs', inNamespace({ name: 'ends', previous: true }));
    return result['success'] === true ? result : undefined;
  });
  expect(previous.output).toBe('last words\n');
  const selection = ['PIPEOPS_EVENT=command failed', 'PIPEOPS_ERROR_CODE=NOT_FOUND'];
  const found = await server.exec([
    ...['journalctl', '--unit', 'pipeops-agent', '--output', 'json', '--lines', '1', ...selection],
  ]);
  expect(JSON.parse(found.stdout)).toMatchObject({
    ...{ PRIORITY: '6', SYSLOG_IDENTIFIER: 'pipeops-agent', PIPEOPS_COMMAND_TYPE: 'logs' },
    ...{ _TRANSPORT: 'journal', _SYSTEMD_UNIT: 'pipeops-agent.service' },
  });
  const waiting = await waitUntil('the image is missed', SETTLE_TIMEOUT_MS, async () => {
    const result = await run('logs', inNamespace({ pod: await podWith(MISSING_IMAGE) }));
    return String(result['error']).includes('ErrImageNeverPull') ? result : undefined;
  });
  expect(waiting).toMatchObject({ success: false, error_code: 'NOT_RUNNING' });
}

async function refuseExec(): Promise<void> {
  const refused = await run(
    'exec',
    inNamespace({ name: 'two', container: 'main', command: ['id'] }),
  );
  expect(refused).toMatchObject({ success: false, error_code: 'POLICY_DENIED' });
  await server.exec(['pipeops-agent', 'policy', 'apply', '--preset', 'operate']);
}

const program = (...command: string[]) => ({ name: 'two', container: 'main', command });

async function runPrograms(): Promise<void> {
  const script = 'cat; echo problem >&2; exit 7';
  const payload = { ...program('sh', '-c', script), stdin: 'input\n' };
  const exec = await run('exec', inNamespace(payload));
  expect(exec).toMatchObject({
    success: false,
    error_code: 'EXEC_FAILED',
    output: 'input\nproblem\n',
    data: { container: 'main', exit_code: 7, stdout: 'input\n', stderr: 'problem\n' },
  });
  expect(await run('exec', inNamespace(program('true')))).toMatchObject({
    success: true,
    data: { exit_code: 0 },
  });
  const long = await run('exec', inNamespace(program('sh', '-c', 'yes | head -c 20000000')));
  expect(long).toMatchObject({ success: true, data: { truncated: true, exit_code: 0 } });
  const slow = await run('exec', inNamespace({ ...program('sleep', '60'), timeout_seconds: 1 }));
  expect(slow).toMatchObject({ success: false, error_code: 'TIMEOUT', data: { exit_code: null } });
  expect(await run('exec', inNamespace(program('no-such-program')))).toMatchObject({
    error_code: 'EXEC_FAILED',
    data: { exit_code: null },
  });
}

const urlOf = (id: string) => `${stand.adminUrl()}/admin/agents/${agentId}/commands/${id}`;

async function cancel(id: string): Promise<void> {
  const { ok } = await fetch(`${urlOf(id)}/cancel`, { method: 'POST' });
  expect(ok).toBeTrue();
}

/** What a command has told of itself, once it has. */
const underWay = (id: string) =>
  waitUntil(`command ${id} is under way`, SETTLE_TIMEOUT_MS, async () => {
    const { progress: told } = (await (await fetch(urlOf(id))).json()) as { progress: unknown[] };
    return told.length > 0 ? told : undefined;
  });

async function cancelProgram(): Promise<void> {
  // What it writes first has long arrived when it tells that it has begun.
  const script =
    'for i in $(seq 100); do echo partly; [ $i = 10 ] && echo begun > /tmp/begun; sleep 0.2; done';
  const [pod] = (await kubectl(['get', 'pods', '-l', 'app=two', '-o', 'name'])).trim().split('\n');
  const name = pod?.replace('pod/', '');
  const payload = { pod: name, container: 'main', command: ['sh', '-c', script] };
  const id = await stand.command(agentId, 'exec', inNamespace(payload));
  await waitUntil('the program has begun', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await server.exec(
      [
        ...['k3s', 'kubectl', '--namespace', NAMESPACE, 'exec', `${name}`, '-c', 'main'],
        ...['--', 'cat', '/tmp/begun'],
      ],
      { check: false },
    );
    return stdout === 'begun\n';
  });
  await cancel(id);
  expect(await stand.finished(agentId, id)).toMatchObject({
    extra_results: 0,
    result: {
      success: false,
      error_code: 'COMMAND_CANCELLED',
      error: expect.stringContaining('It may still run'),
      data: { exit_code: null, stdout: expect.stringMatching(/^(partly\n)+$/) },
    },
  });
}

async function runAtMostOnce(): Promise<void> {
  const [pod] = (await kubectl(['get', 'pods', '-l', 'app=two', '-o', 'name'])).trim().split('\n');
  const name = pod?.replace('pod/', '');
  const script = 'echo ran >> /tmp/effect; sleep 20';
  const payload = { pod: name, container: 'main', command: ['sh', '-c', script] };
  const id = await stand.command(agentId, 'exec', inNamespace(payload));
  const effect = () => kubectl(['exec', `${name}`, '-c', 'main', '--', 'cat', '/tmp/effect']);
  await waitUntil('the program has begun', SETTLE_TIMEOUT_MS, async () => {
    return (await effect()) === 'ran\n';
  });
  await server.exec(['systemctl', 'kill', '--signal=KILL', UNIT]);
  expect(await stand.finished(agentId, id)).toMatchObject({
    extra_results: 0,
    result: { success: false, error_code: 'COMMAND_OUTCOME_UNKNOWN' },
  });
  expect(await effect()).toBe('ran\n');
}

async function cordonAndUncordon(): Promise<void> {
  const node = 'worker';
  const changes = [];
  for (const type of ['cordon', 'cordon', 'uncordon', 'uncordon']) {
    changes.push((await run(type, { node }))['data']);
  }
  expect(changes).toEqual([
    { node, schedulable: false, changed: true },
    { node, schedulable: false, changed: false },
    { node, schedulable: true, changed: true },
    { node, schedulable: true, changed: false },
  ]);
  expect(await run('cordon', { node: 'nowhere' })).toMatchObject({ error_code: 'NOT_FOUND' });
}

async function drainWorker(): Promise<void> {
  // Pods that still end would be counted as evicted.
  await kubectl(['delete', 'deployment', 'two', 'ends', 'missing', '--cascade=foreground']);
  await run('cordon', { node: 'server' });
  await applyAll([
    workload('kept', 2, { main: 'true' }),
    workload('everywhere', undefined, { main: 'true' }),
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'kept-budget' },
      spec: { minAvailable: 2, selector: { matchLabels: { app: 'kept' } } },
    },
  ]);
  await kubectl(['rollout', 'status', 'deployment/kept', '--timeout=60s']);
  await run('uncordon', { node: 'server' });
  const kept = (await podsOn('worker')).filter((name) => name.startsWith('kept-'));
  expect(kept).toHaveLength(2);

  const refused = await run('drain', { node: 'worker', timeout_seconds: 5 });
  expect(refused).toMatchObject({
    success: false,
    error_code: 'DRAIN_INCOMPLETE',
    data: { node: 'worker', cordoned: true, evicted: [] },
  });
  expect(refused['error']).toContain('kept-budget');
  expect(await podsOn('worker')).toEqual(expect.arrayContaining(kept));

  const id = await stand.command(agentId, 'drain', { node: 'worker' });
  expect(await underWay(id)).toContainEqual(
    expect.objectContaining({ message: '0 pods evicted, 2 to go' }),
  );
  await cancel(id);
  expect(await stand.finished(agentId, id)).toMatchObject({
    extra_results: 0,
    result: {
      success: false,
      error_code: 'COMMAND_CANCELLED',
      error: expect.stringContaining('0 pods evicted, 2 left'),
      data: { node: 'worker', evicted: [] },
    },
  });
  expect(await podsOn('worker')).toEqual(expect.arrayContaining(kept));

  const patch = JSON.stringify({ spec: { minAvailable: 1 } });
  await kubectl(['patch', 'pdb', 'kept-budget', '--type=merge', '-p', patch]);
  const drained = await run('drain', { node: 'worker', grace_seconds: 5 });
  expect(drained).toMatchObject({ success: true, data: { cordoned: false, refused: [] } });
  const { evicted, skipped } = drained['data'] as { evicted: string[]; skipped: { pod: string }[] };
  expect(evicted).toEqual(expect.arrayContaining(kept.map((name) => `${NAMESPACE}/${name}`)));
  const left = await podsOn('worker');
  expect(left.map((name) => name.replace(/-[^-]*$/, ''))).toEqual(['everywhere']);
  expect(skipped.map(({ pod }) => pod)).toContain(`${NAMESPACE}/${left[0]}`);
  await run('uncordon', { node: 'worker' });
}
