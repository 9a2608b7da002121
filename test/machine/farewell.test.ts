/** What the control plane hears of an uninstallation, and what a person is told where it hears nothing. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  agentIsNotReady,
  errorOf,
  INSTALL,
  INSTALL_ENV,
  STANDALONE,
  setUp,
} from '../support/installation.ts';
import { leavingCluster } from '../support/leaving-cluster.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CONTROL_PLANE,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const UNTOLD = `${CONTROL_PLANE} was not told, and shows it as down from now on. Remove it there: cluster "test", agent agent-1`;

let machine: SimulatedMachine;
let phase: string;
/** How often the agent was asked to try at once. */
let tries: number;

beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.run(INSTALL, { env: INSTALL_ENV });
  phase = 'unreachable';
  tries = 0;
  machine.web.set('http://agent/api/health/detailed', async () => {
    const health = await machine.health();
    return Response.json({ ...health, session: { ...health.session, phase } });
  });
  machine.web.set('http://agent/api/session', () => {
    tries += 1;
    return Response.json({ phase });
  });
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const uninstall = (...flags: readonly string[]) =>
  machine.run(['uninstall', ...flags], { clock: scaledClock(100) });
const farewell = { control_plane: CONTROL_PLANE, agent_id: 'agent-1', cluster_name: 'test' };

test('a session ends with the word', async () => {
  phase = 'connected';
  const ran = await uninstall('--yes', '--json', '--wait-control-plane', '10m');
  expect(JSON.parse(ran.stdout).control_plane).toEqual({ ...farewell, told: true });
  expect(ran.stderr).not.toContain(CONTROL_PLANE);
  expect(tries).toBe(0);
});

test('without one it goes all the same, and says what to remove there', async () => {
  const ran = await uninstall('--yes');
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).toContain('To wait for it: --wait-control-plane 10m');
  expect(ran.stderr).toContain(UNTOLD);
  expect(await machine.files.stat('/usr/local/bin/k3s')).toBeUndefined();
});

test('is waited for where a person wants that, and hears it', async () => {
  machine.web.set('http://agent/api/session', () => {
    tries += 1;
    phase = tries < 3 ? 'unreachable' : 'connected';
    return Response.json({ phase });
  });
  const ran = await uninstall('--yes', '--json', '--wait-control-plane', '10m');
  expect(JSON.parse(ran.stdout).control_plane).toEqual({ ...farewell, told: true });
  expect(tries).toBe(3);
});

test('is waited for no longer than that', async () => {
  const ran = await uninstall('--yes', '--json', '--wait-control-plane', '5s');
  expect([ran.exitCode, JSON.parse(ran.stdout).control_plane]).toEqual([
    0,
    { ...farewell, told: false },
  ]);
  expect(tries).toBeWithin(4, 8);
});

test('interrupted while it waits, it has removed nothing', async () => {
  const interrupt = new AbortController();
  machine.web.set('http://agent/api/session', () => {
    interrupt.abort();
    return Response.json({ phase });
  });
  const before = await machine.tree();
  const words = ['uninstall', '--yes', '--json', '--wait-control-plane', '10m'];
  const ran = await machine.run(words, { signal: interrupt.signal });
  expect(errorOf(ran)).toMatchObject({ exitCode: 130, code: 'INTERRUPTED' });
  expect(await machine.tree()).toEqual(before);
});

test('an agent that is stopped has a control plane as well', async () => {
  machine.units.set('pipeops-agent.service', 'inactive');
  machine.web.delete('http://agent/api/health/detailed');
  const { control_plane } = JSON.parse((await uninstall('--yes', '--json')).stdout);
  expect(control_plane).toEqual({ ...farewell, agent_id: null, told: false });
});

test('a standalone server and a worker have nobody to tell', async () => {
  for (const words of [STANDALONE, undefined]) {
    await using other = await simulatedMachine();
    await (words === undefined ? setUp(other, 'join') : other.run(words, { env: INSTALL_ENV }));
    const ran = await other.run(['uninstall', '--yes', '--json']);
    expect(JSON.parse(ran.stdout).control_plane).toBeNull();
  }
});

test('on one of several servers the agent says nothing of the kind: the others go on', async () => {
  phase = 'connected';
  await leavingCluster(machine);
  let wasLeaving: unknown;
  machine.programs.set('systemctl', async ([, verb, ...rest]) => {
    if (rest.at(-1) === 'pipeops-agent.service' && verb === 'stop') {
      wasLeaving = await machine.files.stat('/etc/pipeops-agent/leaving');
      machine.units.set('pipeops-agent.service', 'inactive');
      return {};
    }
    return undefined;
  });
  const ran = await uninstall('--yes', '--json');
  expect(ran.stderr).toContain('To give it up: sudo pipeops-agent leave, instead of this');
  expect(JSON.parse(ran.stdout)).toMatchObject({ control_plane: null, listed_node: 'node-1' });
  expect(wasLeaving).toBeUndefined();
});

test('the last of several servers tells it, though it had joined the others once', async () => {
  const cluster = await leavingCluster(machine);
  cluster.members.clear();
  const config = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
  await machine.put(config, 'server: https://10.0.0.2:6443\n');
  await machine.put('/var/lib/pipeops-agent-host/k3s-join-token', 'of the servers\n');
  const { control_plane, listed_node } = JSON.parse((await uninstall('--yes', '--json')).stdout);
  expect([control_plane, listed_node]).toEqual([{ ...farewell, told: false }, null]);
});

test('an installation that never came to its end was never heard of', async () => {
  await using other = await simulatedMachine();
  agentIsNotReady(other);
  await other.run(INSTALL, { env: INSTALL_ENV });
  const ran = await other.run(['install', '--undo', '--yes', '--json']);
  expect(JSON.parse(ran.stdout).control_plane).toBeNull();
  expect(ran.stderr).not.toContain('--wait-control-plane');
});

test.each(['0s', 'soon'])('a time of %s is refused', async (text) => {
  const ran = await uninstall('--yes', '--json', '--wait-control-plane', text);
  expect(errorOf(ran)).toMatchObject({ exitCode: 2, code: 'USAGE' });
});
