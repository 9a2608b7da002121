/**
 * A server with 1 GiB in the profile `lite` installs, and runs applications. The kubelet reads the memory of
 * the host here, so what it keeps for k3s and the system is not tried.
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

const progress = reportProgress('small machine');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('small');
  machine = await stand.lab.boot({ name: 'small', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await limitMemory(machine.group, MEMORY_MIB * MIB);
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

const kubectl = async (...args: readonly string[]) =>
  (await machine.exec(['k3s', 'kubectl', ...args], { timeoutMs: POD_TIMEOUT_MS })).stdout;

const available = () => kubectl('rollout', 'status', 'deployment', 'web', '--timeout=100s');

async function peak(when: string): Promise<void> {
  const used = Math.round((await memoryPeak(machine.group)) / MIB);
  await progress.phase(`${used} MiB at most ${when}`, async () => undefined);
}

test(
  'a machine with 1 GiB installs in the profile lite, and runs 15 pods without a restart',
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
    const ofPods = await kubectl(
      ...['get', 'pods', '--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}'],
    );
    expect(ofPods.split(' ')).toEqual(Array.from({ length: REPLICAS }, () => '0'));
    for (const unit of ['k3s', 'pipeops-agent']) {
      const argv = ['systemctl', 'show', '--property=NRestarts', '--value', unit];
      expect((await machine.exec(argv)).stdout.trim()).toBe('0');
    }
    expect(await memoryPeak(machine.group)).toBeLessThan(MEMORY_MIB * MIB);
  },
  TEST_TIMEOUT_MS,
);
