/**
 * Machines with IPv6 alone, in an internet of IPv6, and machines with both versions of IP: installed by one
 * line, joined by what a server offers, asked through every door, and taken back to what they were.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostAndPort } from '../../src/core/text/host-and-port.ts';
import { expectAsBefore } from '../e2e/as-before.ts';
import {
  installByOneLine,
  JOIN_TOKEN_FILE,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN_FILE,
  withoutSudo,
} from '../e2e/stand.ts';
import { WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import type { MachineState } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
const WEB_PORT = 8080;
/** There is neither DNS nor Docker's registry, and the disk is shared. */
const OF_LAB = ['dns-resolvers', 'registries', 'disk-latency'];

const progress = reportProgress('ipv6');
let stand: Stand;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('ipv6', { ip: '6' });
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

/** A cluster of two machines under way. */
interface Pair {
  readonly server: Machine;
  readonly worker: Machine;
  readonly before: readonly [MachineState, MachineState];
  agentId: string;
}

test(
  'two machines with only IPv6 become a cluster, and go back to what they were',
  async () => {
    const pair = await boot('6', 'six');
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-ipv6'), async () => {
      await install(pair, []);
      const [podNetwork] = await podNetworks(pair.server);
      expect(podNetwork).toContain(':');
      await deployAndAsk(pair);
      await isWell(pair.server);
      await joinByOffer(pair);
      await onBothNodes(pair);
      await isWell(pair.worker);
      await progress.phase('canary', () => isWell(pair.server, '--canary'));
      await goBack(pair);
    });
  },
  TEST_TIMEOUT_MS,
);

test(
  'two machines with both versions of IP have pods and Services of both, and go back',
  async () => {
    const pair = await boot('4+6', 'both');
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-ipv4-and-6'), async () => {
      await install(pair, [
        ...['--cluster-cidr', '10.42.0.0/16,fd00:42::/56'],
        ...['--service-cidr', '10.43.0.0/16,fd00:43::/112'],
      ]);
      const networks = await podNetworks(pair.server);
      expect(networks.map((network) => network.includes(':'))).toEqual([false, true]);
      await deployAndAsk(pair);
      await isWell(pair.server);
      await progress.phase('join', () => joinByToken(stand, pair.server, pair.worker));
      await onBothNodes(pair);
      await reachedByBoth(pair);
      await goBack(pair);
    });
  },
  TEST_TIMEOUT_MS,
);

async function boot(ip: '6' | '4+6', name: string): Promise<Pair> {
  const [server, worker] = await Promise.all(
    ([`${name}-1`, `${name}-2`] as const).map((each) =>
      stand.lab.boot({ name: each, base: 'kubernetes', images: true, ip }),
    ),
  );
  if (server === undefined || worker === undefined) {
    throw new Error('There are no machines');
  }
  await stand.equip(server);
  const before = [await server.snapshotState(), await worker.snapshotState()] as const;
  return { server, worker, before, agentId: '' };
}

async function install(pair: Pair, more: readonly string[]): Promise<void> {
  const { server } = pair;
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', server.name, ...more];
  await progress.phase(`one line on ${server.name}`, () => installByOneLine(stand, server, args));
  const status = await read(server, 'pipeops-agent', 'status', '--json');
  expect(status).toMatchObject({ ready: true, session: { phase: 'connected' } });
  pair.agentId = status.agent.id;
  const known = (await stand.agents()).filter(({ id }) => id === pair.agentId);
  expect(known).toMatchObject([{ session: 'connected', protocol_errors: [] }]);
  const info = await read(server, 'pipeops-agent', 'cluster-info', '--json');
  expect(info).toMatchObject({
    servers: [`https://${hostAndPort(server.address, 6443)}`],
    nodes: [{ name: server.name, ready: true, address: server.address }],
  });
}

/** What a program prints as JSON. */
async function read(machine: Machine, ...argv: readonly [string, ...string[]]) {
  return JSON.parse((await machine.exec(argv)).stdout);
}

const kubectl = async (server: Machine, ...args: readonly string[]) =>
  (await server.exec(['k3s', 'kubectl', ...args])).stdout;

async function podNetworks(server: Machine): Promise<readonly string[]> {
  const { items } = JSON.parse(await kubectl(server, 'get', 'nodes', '-o', 'json'));
  return items[0].spec.podCIDRs;
}

/** By the control plane's command; asked on the machine, through the agent's own door, and through the session. */
async function deployAndAsk({ server, agentId }: Pair): Promise<void> {
  const domain = `web.${server.name}.example`;
  const id = await stand.command(agentId, 'deploy', {
    ...{ name: 'web', namespace: 'default', image: WEB_IMAGE, replicas: 1 },
    ...{ ports: [{ container_port: WEB_PORT }], domains: [domain] },
  });
  const { result } = await progress.phase('deploy', () => stand.finished(agentId, id));
  expect(result).toMatchObject({ success: true });
  await answers(server, `http://${result?.data?.['service_address']}/`);
  const pods = '/api/v1/namespaces/default/pods';
  const token = '"Authorization: Bearer $(cat /run/pipeops-agent/local-token)"';
  const local = `curl -fsS -H ${token} http://127.0.0.1:8080/proxy${pods}`;
  const { items } = await read(server, 'sh', '-c', local);
  expect(items).toHaveLength(1);
  const remote = `${stand.adminUrl()}/admin/agents/${agentId}/proxy`;
  // The API server asks the kubelet for it, at the address of the node.
  const log = await fetch(`${remote}${pods}/${items[0].metadata.name}/log`);
  expect(log.status).toBe(200);
  await waitUntil('the application answers through the session', SETTLE_TIMEOUT_MS, async () => {
    const asked = await fetch(`${remote}/`, { headers: { 'x-forwarded-host': domain } });
    return (await asked.text()) === 'hello from pod\n';
  });
}

async function answers(machine: Machine, url: string): Promise<void> {
  await waitUntil(`${url} answers`, SETTLE_TIMEOUT_MS, async () => {
    const asked = await machine.exec(['curl', '-fsS', '-m', '5', url], { check: false });
    return asked.stdout === 'hello from pod\n';
  });
}

/** `doctor` finds nothing but what is so on every machine of the tests, and the daemon is ready. */
async function isWell(machine: Machine, ...flags: readonly string[]): Promise<void> {
  const argv = ['pipeops-agent', 'doctor', '--json', ...flags];
  const doctor = await machine.exec(argv, { check: false });
  const { checks } = JSON.parse(doctor.stdout) as {
    readonly checks: readonly { readonly id: string; readonly finding?: object }[];
  };
  expect(checks).not.toEqual([]);
  const found = checks.filter(({ id, finding }) => finding !== undefined && !OF_LAB.includes(id));
  expect(found).toEqual([]);
  await waitUntil(`the agent on ${machine.name} is ready`, SETTLE_TIMEOUT_MS, async () => {
    const ready = ['curl', '-fsS', 'http://127.0.0.1:8080/ready'];
    return (await machine.exec(ready, { check: false })).exitCode === 0;
  });
}

/** All that the worker needs comes from the server, at an address of IPv6 in brackets. */
async function joinByOffer({ server, worker }: Pair): Promise<void> {
  const create = ['pipeops-agent', 'token', 'create', '--serve', '--json'] as const;
  const { line, serve } = await read(server, ...create);
  expect(serve.address).toStartWith(`https://[${server.address}]:`);
  await progress.phase('join by what the server offers', () =>
    worker.exec(['sh', '-c', withoutSudo(line)], { timeoutMs: TEST_TIMEOUT_MS }),
  );
  await worker.exec(['rm', JOIN_TOKEN_FILE]);
}

async function onBothNodes({ server, worker, agentId }: Pair): Promise<void> {
  await waitUntil('both nodes are ready', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(server)) === 2;
  });
  const scale = { name: 'web', namespace: 'default', replicas: 4 };
  const id = await stand.command(agentId, 'scale', scale);
  expect((await stand.finished(agentId, id)).result).toMatchObject({ success: true });
  const { items } = JSON.parse(await kubectl(server, 'get', 'pods', '-o', 'json'));
  const pods = items as {
    readonly spec: { readonly nodeName: string };
    readonly status: { readonly podIPs: readonly { readonly ip: string }[] };
  }[];
  expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(
    new Set([server.name, worker.name]),
  );
  for (const { ip } of pods.flatMap(({ status }) => status.podIPs)) {
    await answers(server, `http://${hostAndPort(ip, WEB_PORT)}/`);
    await answers(worker, `http://${hostAndPort(ip, WEB_PORT)}/`);
  }
}

/** A Service of both versions of IP, asked on the other machine. */
async function reachedByBoth({ server, worker }: Pair): Promise<void> {
  const patch = JSON.stringify({ spec: { ipFamilyPolicy: 'RequireDualStack' } });
  await kubectl(server, 'patch', 'service', 'web', '--patch', patch);
  const { spec } = JSON.parse(await kubectl(server, 'get', 'service', 'web', '-o', 'json'));
  expect(spec.clusterIPs).toHaveLength(2);
  for (const address of spec.clusterIPs) {
    await answers(worker, `http://${hostAndPort(address, WEB_PORT)}/`);
  }
}

async function goBack({ server, worker, before }: Pair): Promise<void> {
  await progress.phase('leave and uninstall', async () => {
    const leave = ['pipeops-agent', 'leave', '--yes'];
    await worker.exec(leave, { timeoutMs: TEST_TIMEOUT_MS });
    const uninstall = ['pipeops-agent', 'uninstall', '--yes', '--delete-data'];
    await server.exec(uninstall, { timeoutMs: TEST_TIMEOUT_MS });
  });
  for (const [index, machine] of [server, worker].entries()) {
    await expectAsBefore(machine, before[index] as MachineState);
    await machine.powerOff();
  }
}
