/**
 * A server with 1 GiB in the profile `lite` installs, runs applications, and outlives a pod that takes more
 * memory than there is.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { limitMemory, memoryPeak } from '../vm/cgroups.ts';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { bringProgram, installEnvironment, openStand, type Stand } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const RUN_TIMEOUT_MS = 400_000;
const POD_TIMEOUT_MS = 120_000;
const AGENT = '/root/pipeops-agent';
const MIB = 1024 * 1024;
const MEMORY_MIB = 1_024;
const REPLICAS = 15;
/** With it the machine would be a little short of memory, which is worse than much: it only gets slow. */
const HOG_MIB = 510;

const progress = reportProgress('small machine');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('small');
  machine = await stand.lab.boot({ name: 'small', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await limitMemory(machine.group, MEMORY_MIB * MIB);
  await showOwnMemory();
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

/** /proc/meminfo is the host's; the kubelet reckons with what stands there when it starts. */
async function showOwnMemory(): Promise<void> {
  const kib = MEMORY_MIB * 1024;
  const text = (await machine.readFile('/proc/meminfo'))
    .replace(/^MemTotal:.*$/m, `MemTotal: ${kib} kB`)
    .replaceAll(/^(MemFree|MemAvailable):.*$/gm, `$1: ${Math.round(kib * 0.9)} kB`);
  await machine.writeFile('/run/meminfo', text);
  await machine.exec(['mount', '--bind', '/run/meminfo', '/proc/meminfo']);
}

const kubectl = async (...args: readonly string[]) =>
  (await machine.exec(['k3s', 'kubectl', ...args], { timeoutMs: POD_TIMEOUT_MS })).stdout;

const available = () => kubectl('rollout', 'status', 'deployment', 'web', '--timeout=100s');

async function peak(when: string): Promise<void> {
  const used = Math.round((await memoryPeak(machine.group)) / MIB);
  await progress.phase(`${used} MiB at most ${when}`, async () => undefined);
}

test(
  'a machine with 1 GiB installs in the profile lite, runs 15 pods, and outlives one that takes too much',
  async () => {
    const ran = await machine.exec([AGENT, 'install', '--profile', 'lite', '--json'], {
      env: installEnvironment(stand),
      timeoutMs: RUN_TIMEOUT_MS,
      check: false,
    });
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
    const told = await machine.readFile('/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml');
    expect(told).toContain('disable: ["traefik","servicelb","metrics-server"]');
    await peak('after the installation');
    await kubectl('create', 'deployment', 'web', `--image=${WEB_IMAGE}`);
    await available();
    await peak('with an application');
    await kubectl('scale', 'deployment', 'web', `--replicas=${REPLICAS}`);
    await available();
    await peak(`with ${REPLICAS} pods`);
    expect(await kubectl('get', '--raw', '/readyz')).toContain('ok');
    const status = await machine.exec(['pipeops-agent', 'status', '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ ready: true });
    await nothingWasRestarted(REPLICAS);
    expect(await memoryPeak(machine.group)).toBeLessThan(MEMORY_MIB * MIB);
    await progress.phase('a pod that takes too much is ended, and nothing else', outliveHog);
  },
  TEST_TIMEOUT_MS,
);

/** Neither the pods of the application nor k3s and the agent. */
async function nothingWasRestarted(replicas: number): Promise<void> {
  const counts = '{.items[*].status.containerStatuses[*].restartCount}';
  const ofPods = await kubectl('get', 'pods', '--selector=app=web', `--output=jsonpath=${counts}`);
  expect(ofPods.split(' ')).toEqual(Array.from({ length: replicas }, () => '0'));
  for (const unit of ['k3s', 'pipeops-agent']) {
    const argv = ['systemctl', 'show', '--property=NRestarts', '--value', unit];
    expect((await machine.exec(argv)).stdout.trim()).toBe('0');
  }
}

async function outliveHog(): Promise<void> {
  const ofNode = async (path: string) =>
    await kubectl('get', 'node', 'small', `--output=jsonpath=${path}`);
  // 1 GiB without what is kept for k3s (450), for the system (100), and free (50).
  expect(await ofNode('{.status.allocatable.memory}')).toBe('424Mi');
  await kubectl('scale', 'deployment', 'web', '--replicas=1');
  await kubectl('wait', '--for=jsonpath={.status.replicas}=1', 'deployment/web', '--timeout=60s');
  const readySince = await ofNode('{.status.conditions[?(@.type=="Ready")].lastTransitionTime}');
  const hog = ['dd', 'if=/dev/zero', 'of=/dev/null', `bs=${HOG_MIB}M`, 'count=1000000'];
  const run = ['run', 'hog', `--image=${WEB_IMAGE}`, '--restart=Never', '--command', '--'];
  await kubectl(...run, ...hog);
  await kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/hog', '--timeout=90s');
  const reason = '{.status.containerStatuses[0].state.terminated.reason}';
  expect(await kubectl('get', 'pod', 'hog', `--output=jsonpath=${reason}`)).toBe('OOMKilled');
  expect(await ofNode('{.status.conditions[?(@.type=="Ready")].status}')).toBe('True');
  expect(await ofNode('{.status.conditions[?(@.type=="Ready")].lastTransitionTime}')).toBe(
    readySince,
  );
  await nothingWasRestarted(1);
}
