/** k3s is restarted by root's helper only where that mends something, whoever asks for it how often. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { HandedConnection } from '../../../src/core/ports.ts';
import { INSTALL, INSTALL_ENV } from '../../support/installation.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';
import { makeCertificates } from '../../support/tls.ts';

const ADMIN = '/var/lib/rancher/k3s/server/tls/client-admin.crt';
const KUBELET = '/var/lib/rancher/k3s/agent/serving-kubelet.crt';
const K3S_SETTINGS = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const POLICY = '/etc/pipeops-agent/policy.yaml';
/** What the simulated machine has. */
const PRESENT = '10.0.0.7';
const GONE = '10.0.0.99';
const HOUR_MS = 3_600_000;

let ending: string;
let elsewhere: string;
beforeAll(async () => {
  const made = await makeCertificates([GONE]);
  // For two days.
  [ending, elsewhere] = [made.cert, made.cert];
});

let machine: SimulatedMachine;
let clock: ReturnType<typeof manualClock>;
let restarts: string[];
/** What a restart of k3s does. */
let onRestart: () => Promise<unknown>;
beforeEach(async () => {
  machine = await simulatedMachine();
  clock = manualClock(new Date().toISOString());
  restarts = [];
  onRestart = async () => undefined;
  machine.programs.set('systemctl', async ([, verb, unit = '']) => {
    if (verb !== 'restart' || !unit.startsWith('k3s')) {
      return undefined;
    }
    restarts.push(unit);
    await onRestart();
    return { exitCode: 0 };
  });
  goesOutBy([{ prefsrc: PRESENT }]);
});
afterEach(() => machine[Symbol.asyncDispose]());

/** What ip(8) says of the way out, by IPv4. */
function goesOutBy(ways: readonly { readonly prefsrc: string }[]): void {
  machine.programs.set('ip', ([, , family, , verb]) =>
    verb === 'get' ? { stdout: JSON.stringify(family === '-4' ? ways : []) } : undefined,
  );
}

const install = async (...flags: readonly string[]) =>
  expect(await machine.run([...INSTALL, ...flags], { env: INSTALL_ENV })).toMatchObject({
    exitCode: 0,
  });

async function ask(verb: string): Promise<unknown> {
  const answers: unknown[] = [];
  const connection: HandedConnection = {
    peer: () => ({ pid: 1, uid: 0 }),
    readLine: async () => JSON.stringify({ verb }),
    write: async (text) => void answers.push(JSON.parse(text)),
  };
  await machine.run(['helper', 'serve'], { connection, clock });
  return answers.at(-1);
}

test('k3s whose certificates last, and one that was never started, are left alone', async () => {
  await install();
  expect(await ask('restart_k3s')).toEqual({ data: { restarted: null } });
  expect(restarts).toEqual([]);
});

test('certificates near their end are made anew by one restart', async () => {
  await install();
  await machine.put(ADMIN, ending);
  expect(await ask('host_facts')).toMatchObject({ data: { k3s: { restart: 'certificates' } } });
  onRestart = () => machine.files.remove(ADMIN);
  expect(await ask('restart_k3s')).toEqual({ data: { restarted: 'certificates' } });
  expect(await ask('host_facts')).toMatchObject({ data: { k3s: { restart: null } } });
  expect(restarts).toEqual(['k3s.service']);
});

test('a restart that mends nothing is told, and not tried again before a day has passed', async () => {
  await install();
  await machine.put(ADMIN, ending);
  expect(await ask('restart_k3s')).toMatchObject({ error: { code: 'TOOL_FAILED' } });
  clock.advance(23 * HOUR_MS);
  expect(await ask('restart_k3s')).toMatchObject({ error: { code: 'BUSY' } });
  clock.advance(HOUR_MS);
  expect(await ask('restart_k3s')).toMatchObject({ error: { code: 'TOOL_FAILED' } });
  expect(restarts).toHaveLength(2);
});

test('root may refuse it, and may want to be asked', async () => {
  await install();
  await machine.put(ADMIN, ending);
  await machine.put(POLICY, 'preset: operate\nhost: { restart_k3s: deny }\n', 0o640);
  expect(await ask('restart_k3s')).toMatchObject({
    error: { code: 'POLICY_DENIED', details: { rule: 'file/host.restart_k3s' } },
  });
  await machine.put(POLICY, 'preset: read-only\nhost: { restart_k3s: ask }\n', 0o640);
  expect(await ask('restart_k3s')).toMatchObject({ error: { code: 'APPROVAL_NEEDED' } });
  expect(restarts).toEqual([]);
});

test('another address is taken, also where it was given at the installation', async () => {
  await install('--node-ip', '10.0.0.1');
  const settings = (await machine.files.readText(K3S_SETTINGS)) ?? '';
  await machine.put(K3S_SETTINGS, settings.replace('10.0.0.1', GONE), 0o600);
  await machine.put(KUBELET, elsewhere);
  expect(await ask('host_facts')).toMatchObject({ data: { k3s: { restart: 'address' } } });
  onRestart = () => machine.files.remove(KUBELET);
  expect(await ask('restart_k3s')).toEqual({ data: { restarted: 'address' } });
  expect(await machine.files.readText(K3S_SETTINGS)).toBe(settings.replace('10.0.0.1', PRESENT));
  const shown = await machine.run(['config', 'show', '--json']);
  expect(shown.stdout).toContain(PRESENT);
  expect(restarts).toEqual(['k3s.service']);
});

test.each([
  ['a member of etcd', '/var/lib/rancher/k3s/server/db/etcd/name', 'node-1'],
  [
    'a node whose address somebody else has set',
    '/etc/rancher/k3s/config.yaml.d/90-own.yaml',
    `node-ip: ${GONE}`,
  ],
])('%s is not restarted for another address', async (_, path, text) => {
  await install();
  await machine.put(KUBELET, elsewhere);
  await machine.put(path, text);
  // The certificate of this test ends soon as well: that is what is left to mend.
  expect(await ask('host_facts')).toMatchObject({ data: { k3s: { restart: 'certificates' } } });
});

test('without a way out the old address is waited for', async () => {
  await install();
  goesOutBy([]);
  await machine.put(KUBELET, elsewhere);
  expect(await ask('host_facts')).toMatchObject({ data: { k3s: { restart: 'certificates' } } });
});
