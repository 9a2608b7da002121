/** Servers leave: one of three, the first one of three, and one of two; each comes back or is refused at the end. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { voters } from '../vm/etcd-voters.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { killLeave, leaveAgain } from './leave/killed.ts';
import { expectGone, joinServer, openServerRig } from './leave/server-rig.ts';
import { openStand, type Stand } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 1_200_000;
const SETTLE_TIMEOUT_MS = 120_000;
const LEAVE_TIMEOUT_MS = 300_000;
/** Before it: the pods, the session. */
const MEMBER_IS_ASKED_OUT = 3;
const LEAVE = ['pipeops-agent', 'leave', '--yes', '--json'] as const;

const progress = reportProgress('leave-server');
let stand: Stand;
let first: Machine;
let second: Machine;
let third: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('leave-server');
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

test(
  'servers leave one after the other, the cluster goes on, and the last one stays',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-leave-server'), async () => {
      ({ first, second, third } = await progress.phase('install', () => openServerRig(stand)));
      await progress.phase('the only server stays', onlyServerStays);
      await progress.phase('the second server', () => joinServer(stand, second, first, 2));
      await progress.phase('the third server', () => joinServer(stand, third, first, 3));
      await kubectl(first, 'create', 'configmap', 'of-three');
      await progress.phase('the third leaves, killed on its way', () =>
        leave(third, first, ['first', 'second'], MEMBER_IS_ASKED_OUT),
      );
      await progress.phase('… and joins again', () => joinServer(stand, third, first, 3));
      const { id } = await stand.registeredAgent();
      await progress.phase('the first leaves', () => leave(first, second, ['second', 'third']));
      await progress.phase('another server has the session', () => hasSession(id));
      await progress.phase('the second leaves: two are one', () => leave(second, third, ['third']));
      expect(await kubectl(third, 'get', 'configmap', 'of-three', '-o', 'name')).not.toBe('');
      await hasSession(id);
      await progress.phase('the last is uninstalled, and nobody hears it', () => endUnheard(id));
    });
  },
  TEST_TIMEOUT_MS,
);

async function onlyServerStays(): Promise<void> {
  const refused = await first.exec([...LEAVE], { check: false });
  expect(JSON.parse(refused.stdout).error).toMatchObject({
    code: 'CLUSTER_EXISTS',
    message: 'This machine is the only server of its cluster',
  });
}

/** The same agent for the control plane, on whichever server. */
async function hasSession(id: string): Promise<void> {
  await waitUntil('the control plane has the session', SETTLE_TIMEOUT_MS, async () => {
    const agent = await stand.registeredAgent();
    return agent.id === id && agent.session === 'connected';
  });
}

async function endUnheard(id: string): Promise<void> {
  await stand.stopControlPlane();
  await waitUntil('the agent has seen that', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await third.exec(['pipeops-agent', 'status', '--json'], { check: false });
    return JSON.parse(stdout).session.phase !== 'connected';
  });
  const words = ['pipeops-agent', 'uninstall', '--yes', '--json', '--wait-control-plane', '3s'];
  const ran = await third.exec(words, { timeoutMs: LEAVE_TIMEOUT_MS });
  expect(JSON.parse(ran.stdout).control_plane).toEqual({
    ...{ control_plane: stand.controlPlaneUrl, agent_id: id, cluster_name: 'e2e', told: false },
  });
}

/**
 * @param left the names of the servers that stay
 * @param killedAt a first run is killed after so many lines of its progress
 */
async function leave(
  machine: Machine,
  stays: Machine,
  left: readonly string[],
  killedAt?: number,
): Promise<void> {
  await waitUntil('all servers vote', SETTLE_TIMEOUT_MS, async () => {
    return (await voters(stays)).length === left.length + 1;
  });
  if (killedAt !== undefined) {
    expect(await killLeave(machine, killedAt)).toEqual({ step: 'leave-etcd begun', killed: true });
    await leaveAgain(machine);
  } else {
    await leaveAtOnce(machine, left.length);
  }
  await expectGone(machine, stays, left);
}

async function leaveAtOnce(machine: Machine, left: number): Promise<void> {
  const ran = await machine.exec([...LEAVE], { timeoutMs: LEAVE_TIMEOUT_MS });
  expect(JSON.parse(ran.stdout)).toMatchObject({
    taken_out: true,
    deleted: [],
    kept: [],
    left: [],
  });
  expect(ran.stderr).toContain(left === 2 ? 'Two servers are left' : 'One server is left');
}

async function kubectl(server: Machine, ...args: readonly string[]): Promise<string> {
  const argv = ['k3s', 'kubectl', '--request-timeout=10s', ...args] as const;
  return (await server.exec([...argv], { check: false })).stdout;
}
