/**
 * Copies of a machine's disk, booted side by side: of an image that `prepare-image` made, and of a server
 * while it runs. Each has an agent with a name of its own, and all keep working.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShownAgent } from '../support/control-plane/admin-api.ts';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, installEnvironment, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const RUN_TIMEOUT_MS = 240_000;
const REGISTER_TIMEOUT_MS = 120_000;
const PROGRAM = '/root/pipeops-agent';

const progress = reportProgress('clone');
let stand: Stand;
let golden: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('clone');
  const how = { base: 'kubernetes', images: true, hasHardwareNumber: true } as const;
  golden = await stand.lab.boot({ name: 'golden', ...how });
  await bringProgram(golden, PROGRAM);
  await stand.equip(golden);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

interface Identity {
  readonly agent: string;
  readonly copyOf: string | null;
  readonly machineId: string;
  readonly hardware: string;
  readonly boot: string;
}

async function identityOf(machine: Machine): Promise<Identity> {
  const line = async (path: string) => (await machine.readFile(path)).trim();
  const { agent } = await statusOf(machine);
  return {
    agent: agent.id,
    copyOf: agent.copy_of ?? null,
    machineId: await line('/etc/machine-id'),
    hardware: await line('/sys/class/dmi/id/product_uuid'),
    boot: await line('/proc/sys/kernel/random/boot_id'),
  };
}

const statusOf = async (machine: Machine) =>
  JSON.parse((await machine.exec(['pipeops-agent', 'status', '--json'], { check: false })).stdout);

/** What the control plane knows of the agent on a machine, once that is ready and connected. */
async function connected(machine: Machine): Promise<ShownAgent> {
  return await waitUntil(`${machine.name} is connected`, REGISTER_TIMEOUT_MS, async () => {
    const { ready, agent } = await statusOf(machine);
    const known = (await stand.agents()).find(({ id }) => id === agent.id);
    return ready === true && known?.session === 'connected' ? known : undefined;
  });
}

/** Runs a command there, and finds its work on that machine. */
async function works(machine: Machine, name: string): Promise<void> {
  const { id } = await connected(machine);
  const command = await stand.command(id, 'deploy', {
    ...{ name, namespace: 'default', image: WEB_IMAGE },
    replicas: 1,
  });
  expect((await stand.finished(id, command)).result).toMatchObject({ success: true });
  const { stdout } = await machine.exec(['k3s', 'kubectl', 'get', 'deployments', '--output=name']);
  expect(stdout).toContain(`deployment.apps/${name}\n`);
}

/** At its first boot, as user-data would. */
async function install(machine: Machine): Promise<void> {
  const words = ['install', '--token-file', TOKEN_FILE, '--cluster-name', machine.name];
  await machine.exec(['pipeops-agent', ...words], {
    env: installEnvironment(stand),
    timeoutMs: RUN_TIMEOUT_MS,
  });
}

test(
  'machines of one image, and a copy of one that runs, have names of their own and keep working',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-clone'), async () => {
      const [first, second] = await progress.phase('an image, and two machines of it', fromImage);
      await progress.phase('a copy of the first one while it runs', () => besideItself(first));
      await works(second, 'at-the-end');
    });
  },
  TEST_TIMEOUT_MS,
);

/** @returns two machines of one image, both installed */
async function fromImage(): Promise<readonly [Machine, Machine]> {
  const { stdout } = await golden.exec([PROGRAM, 'prepare-image', '--yes'], {
    env: installEnvironment(stand),
    timeoutMs: RUN_TIMEOUT_MS,
  });
  for (const line of ['rm -f /var/lib/dbus/machine-id', 'truncate --size 0 /etc/machine-id']) {
    expect(stdout).toContain(`sudo ${line}`);
    await golden.exec(line.split(' '));
  }
  await golden.powerOff();
  const fetched = stand.mirror.requests.length;
  const copy = (name: string) => stand.lab.copy(golden, { name, hostname: name });
  const both = await Promise.all([copy('first'), copy('second')]);
  await Promise.all(both.map(install));
  const programs = stand.mirror.requests.slice(fetched).filter((path) => path.endsWith('/k3s'));
  expect(programs).toEqual([]); // It is in the image.
  await works(both[0], 'before-the-copy');
  await works(both[1], 'on-the-second');
  const [one, other] = await Promise.all([identityOf(both[0]), identityOf(both[1])]);
  expect([one.copyOf, other.copyOf]).toEqual([null, null]);
  for (const key of ['agent', 'machineId', 'hardware', 'boot'] as const) {
    expect(one[key]).toMatch(/[0-9a-f-]{32}/);
    expect(one[key]).not.toBe(other[key]);
  }
  return both;
}

/** As a snapshot of a cloud: hostname and machine id are those of the original. */
async function besideItself(original: Machine): Promise<void> {
  const before = await identityOf(original);
  const { registrations } = await connected(original);
  const copy = await stand.lab.copy(original, { name: 'copy' });
  await works(copy, 'on-the-copy');
  const found = await identityOf(copy);
  expect(found).toEqual({
    agent: expect.stringMatching(/^agent-[0-9a-f]{32}$/),
    copyOf: before.agent,
    machineId: before.machineId,
    hardware: expect.not.stringContaining(before.hardware),
    boot: expect.not.stringContaining(before.boot),
  });
  expect(found.agent).not.toBe(before.agent);
  const screen = await copy.exec(['pipeops-agent', 'status'], { check: false });
  expect(screen.stdout).toContain(`of the machine of ${before.agent}`);
  expect(await copy.journal({ unit: 'pipeops-agent.service' })).toContain(
    `copy_of=${before.agent}`,
  );

  // What the original had done is in both clusters; what each does now is in its own alone.
  await works(original, 'on-the-original');
  const { stdout } = await copy.exec(['k3s', 'kubectl', 'get', 'deployments', '--output=name']);
  expect(stdout.trim().split('\n').sort()).toEqual([
    'deployment.apps/before-the-copy',
    'deployment.apps/on-the-copy',
  ]);
  expect(await identityOf(original)).toEqual(before);
  expect(await connected(original)).toMatchObject({ registrations, protocol_errors: [] });
  await copy.reboot();
  expect((await connected(copy)).id).toBe(found.agent);
  await original.reboot();
  expect((await connected(original)).id).toBe(before.agent);
}
