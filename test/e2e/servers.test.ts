/** Several servers: from SQLite to etcd, one that joins after the other, and the loss of the first. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placesOf } from '../../src/core/places.ts';
import { voters } from '../vm/etcd-voters.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { createServerToken, joinServer } from './join-server.ts';
import { healthOf, sessionHolder, standsBy } from './session-holder.ts';
import {
  installByOneLine,
  installEnvironment,
  openStand,
  type Stand,
  TOKEN_FILE,
} from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 120_000;
/** Until another server has a session when the one that has it stops. */
const GIVEN_OVER_MAX_MS = 5_000;
const INSTALL = ['pipeops-agent', 'install', '--token-file', TOKEN_FILE, '--json'];

const progress = reportProgress('servers');
let stand: Stand;
let first: Machine;
let second: Machine;
let third: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('servers');
  const boot = (name: string) => stand.lab.boot({ name, base: 'kubernetes', images: true });
  [first, second, third] = await Promise.all([boot('first'), boot('second'), boot('third')]);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

const kubectl = async (server: Machine, ...args: readonly string[]) =>
  (await server.exec(['k3s', 'kubectl', '--request-timeout=10s', ...args], { check: false }))
    .stdout;

test(
  'a server with etcd takes two more, one at a time, and the cluster bears the loss of the first',
  async () => {
    await stand.equip(first);
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-servers'), async () => {
      await progress.phase('install with SQLite', () =>
        installByOneLine(stand, first, ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e']),
      );
      await progress.phase('to etcd', moveToEtcd);
      await progress.phase('the second server', joinSecond);
      await progress.phase('the third server', () => joinServer(stand, first, third, 3));
      await progress.phase('a further server is installed again', installAgain);
      await progress.phase('a further server of an earlier version moves on', moveOn);
      await progress.phase('the agent of a server stops', stopAgent);
      await progress.phase('a server loses its API', loseApi);
      await progress.phase('the first server is lost', loseFirst);
    });
  },
  TEST_TIMEOUT_MS,
);

async function moveToEtcd(): Promise<void> {
  await kubectl(first, 'create', 'configmap', 'made-in-sqlite');
  const refused = await createServerToken(first);
  expect(refused.exitCode).toBe(8);
  expect(refused.stderr).toContain('[SERVERS_NOT_READY]');
  expect(refused.stderr).toContain('sudo pipeops-agent install --ha');
  await first.exec([...INSTALL, '--ha', '--tls-san', 'k8s.example.com'], {
    env: installEnvironment(stand),
    timeoutMs: SETTLE_TIMEOUT_MS,
  });
  expect(await kubectl(first, 'get', 'configmap', 'made-in-sqlite', '-o', 'name')).toBe(
    'configmap/made-in-sqlite\n',
  );
  expect(await voters(first)).toEqual(['first']);
}

async function joinSecond(): Promise<void> {
  const { stderr } = await joinServer(stand, first, second, 2, async () => {
    const another = await createServerToken(first);
    expect(another.exitCode).toBe(8);
    expect(another.stderr).toContain('servers join one at a time');
  });
  expect(stderr).toContain('Two servers are no safer than one');
  // The agent of the first server speaks for the cluster; this one is ready to.
  await second.exec(['pipeops-agent', 'health-check']);
  const { stdout } = await second.exec(['pipeops-agent', 'status', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    agent: { role: 'server', cluster_name: 'e2e' },
    session: { phase: 'standby', holder: 'first' },
  });
}

async function installAgain(): Promise<void> {
  const config = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
  const before = await second.readFile(config);
  const again = await second.exec(['pipeops-agent', 'install', '--json'], {
    timeoutMs: SETTLE_TIMEOUT_MS,
  });
  const { role, steps } = JSON.parse(again.stdout) as {
    readonly role: string;
    readonly steps: readonly { readonly id: string; readonly changed: boolean }[];
  };
  expect([role, steps.filter(({ changed }) => changed)]).toEqual(['server', []]);
  expect(await second.readFile(config)).toBe(before);
}

/** As an earlier version has set it up: without a part in the session. */
async function moveOn(): Promise<void> {
  await second.writeFile('/etc/pipeops-agent/config.yaml', 'agent:\n  role: node\n');
  const { kubeconfigFile, policyFile, appliedFile } = placesOf();
  await second.exec(['rm', kubeconfigFile, policyFile, appliedFile]);
  await second.exec(['systemctl', 'restart', 'pipeops-agent']);
  await second.exec(['pipeops-agent', 'install', '--json'], { timeoutMs: SETTLE_TIMEOUT_MS });
  await standsBy(second);
}

/** It gives the session to another server, which need not wait. */
async function stopAgent(): Promise<void> {
  expect((await sessionHolder([first, second, third])).name).toBe('first');
  await first.exec(['systemctl', 'stop', 'pipeops-agent']);
  const at = performance.now();
  await sessionHolder([second, third]);
  expect(performance.now() - at).toBeLessThan(GIVEN_OVER_MAX_MS);
  await first.exec(['systemctl', 'start', 'pipeops-agent']);
  await standsBy(first);
  // "install" is content with an agent that stands by.
  const { stdout } = await first.exec(INSTALL, {
    env: installEnvironment(stand),
    timeoutMs: SETTLE_TIMEOUT_MS,
  });
  const { steps } = JSON.parse(stdout) as { steps: { id: string; changed: boolean }[] };
  expect(steps.filter(({ changed }) => changed)).toEqual([]);
}

/** Its agent cannot know that no other server has the session: it has none then. */
async function loseApi(): Promise<void> {
  const all = [first, second, third];
  const holder = await sessionHolder(all);
  await holder.exec(['systemctl', 'stop', 'k3s']);
  await sessionHolder(all.filter((machine) => machine !== holder));
  const health = await waitUntil('its agent says so', SETTLE_TIMEOUT_MS, () => healthOf(holder));
  expect(health).toMatchObject({ ready: false, session: { phase: 'standby' } });
  await holder.exec(['systemctl', 'start', 'k3s']);
  await standsBy(holder);
}

async function loseFirst(): Promise<void> {
  await first.kill();
  await waitUntil('the API takes changes', SETTLE_TIMEOUT_MS, async () => {
    await kubectl(second, 'create', 'configmap', 'after-loss');
    return (await kubectl(third, 'get', 'configmap', 'after-loss', '-o', 'name')) !== '';
  });
  expect(await kubectl(third, 'get', 'configmap', 'made-in-sqlite', '-o', 'name')).not.toBe('');
}
