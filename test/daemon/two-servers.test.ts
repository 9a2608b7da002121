/** Two servers of a cluster, each with the whole daemon, and one control plane. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LEASE_DURATION_MS } from '../../src/kubernetes/lease/election.ts';
import { DetailedHealth } from '../../src/protocol/local-api.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const TOKEN = 'a-control-plane-token';
/** A loaded machine may miss that the Lease was given back, and then waits for its end. */
const TIMEOUT_MS = 45_000;
const OURS = 'namespaces/pipeops-system';
const LEASE = `/apis/coordination.k8s.io/v1/${OURS}/leases/pipeops-agent`;

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let controlPlane: ControlPlane;
let running: RunningDaemon[];

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  kubernetes.put(LEASE, {});
  kubernetes.put(`/api/v1/${OURS}/secrets/pipeops-agent-session`, {});
  for (const name of ['one', 'two']) {
    kubernetes.put(`/api/v1/nodes/${name}`, {
      metadata: { labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  controlPlane = startControlPlane({
    token: TOKEN,
    databasePath: join(directory.path, 'control-plane.db'),
    // What one server has acknowledged, the other must know.
    dialect: { sends_acknowledged_again: false },
  });
  running = [];
});
afterEach(async () => {
  for (const daemon of running) {
    await daemon.stop();
  }
  await controlPlane[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** @param token none: it joined, and nobody has given it one */
async function start(name: string, token?: string) {
  const path = join(directory.path, name);
  await mkdir(path);
  if (token === undefined) {
    await writeFile(join(path, 'server.json'), '{}');
  }
  const daemon = await startDaemon(path, {
    kubernetes,
    credentials: token === undefined ? {} : { 'control-plane-token': token },
    config: `{control_plane: {url: "${controlPlane.url}"}, http: {port: 0, tls_port: 0}, k3s: {node_name: ${name}}}`,
  });
  running.push(daemon);
  const health = async () =>
    DetailedHealth.parse(JSON.parse(await daemon.ask('/api/health/detailed')));
  return {
    daemon,
    health,
    path,
    reaches: (phase: string) =>
      waitUntil(`${name} is ${phase}`, TIMEOUT_MS, async () => {
        return (await health()).session.phase === phase;
      }),
  };
}

test(
  'the one that joined stands by, and goes on as the same agent when the first one stops',
  async () => {
    const one = await start('one', TOKEN);
    await one.reaches('connected');
    const { agent } = await one.health();
    await waitUntil('the Lease has a duration', TIMEOUT_MS, async () => {
      return kubernetes.object(LEASE)?.spec?.['leaseDurationSeconds'] === LEASE_DURATION_MS / 1_000;
    });
    const two = await start('two');
    await waitUntil('the second one sees the first', TIMEOUT_MS, async () => {
      return (await two.health()).session.holder === 'one';
    });
    expect((await two.health()).session).toMatchObject({ phase: 'standby', holder: 'one' });
    expect(JSON.parse(await two.daemon.ask('/ready'))).toMatchObject({
      standby: 'stands by; one has the session',
    });
    const held = async (server: typeof one) =>
      /^pipeops_agent_session_held (\d)$/m.exec(await server.daemon.ask('/metrics'))?.[1];
    expect([await held(one), await held(two)]).toEqual(['1', '0']);
    // It is being uninstalled; the agent as such stays.
    await writeFile(join(one.path, 'leaving'), '');
    await one.daemon.stop();
    expect(controlPlane.store.agent(agent.id)?.left_at).toBeNull();
    await two.reaches('connected');
    expect((await two.health()).agent.id).toBe(agent.id);
    expect(await readFile(join(two.path, 'credentials/control-plane-token'), 'utf8')).toBe(
      `${TOKEN}\n`,
    );
    const agents = (await (await fetch(`${controlPlane.adminUrl}/admin/agents`)).json()) as {
      readonly agents: readonly { readonly id: string }[];
    };
    expect(agents.agents.map(({ id }) => id)).toEqual([agent.id]);
  },
  TIMEOUT_MS * 4,
);

test(
  'a command that one has acknowledged and begun is ended by the other, which has all of it, and once',
  async () => {
    kubernetes.rollouts = 'stuck';
    const one = await start('one', TOKEN);
    await one.reaches('connected');
    const two = await start('two');
    await waitUntil('the Lease has a duration', TIMEOUT_MS, async () => {
      return kubernetes.object(LEASE)?.spec?.['leaseDurationSeconds'] === LEASE_DURATION_MS / 1_000;
    });
    const { id: agentId } = (await one.health()).agent;
    const payload = {
      name: 'web',
      image: 'web:1',
      environment: { PASSWORD: 'a-secret-of-the-payload' },
    };
    const body = JSON.stringify({ type: 'deploy', payload });
    const made = await fetch(`${controlPlane.adminUrl}/admin/agents/${agentId}/commands`, {
      method: 'POST',
      body,
    });
    const { id } = (await made.json()) as { id: string };
    const deployment = '/apis/apps/v1/namespaces/default/deployments/web';
    await waitUntil(
      'it is begun',
      TIMEOUT_MS,
      async () => kubernetes.object(deployment) !== undefined,
    );
    const remembered = () =>
      kubernetes.paths().filter((path) => path.includes('/pipeops-agent-memory-'));
    expect(remembered().length).toBe(1);

    await one.daemon.stop();
    await two.reaches('connected');
    kubernetes.rollouts = 'ready';
    kubernetes.finishRollouts();
    await waitUntil('it has a result', TIMEOUT_MS, async () => {
      return controlPlane.store.command(agentId, id)?.state === 'done';
    });
    const { result, extra_results: extra } = controlPlane.store.command(agentId, id) ?? {};
    expect({ success: result?.success, attempts: result?.metadata.attempts, extra }).toEqual({
      success: true,
      attempts: 2,
      extra: 0,
    });
    // Its record goes, and what is kept of it names no secret.
    await waitUntil('it is noted as delivered', TIMEOUT_MS, async () => {
      return remembered().every((path) => path.endsWith('-delivered-1'));
    });
    expect(JSON.stringify(result)).not.toContain('a-secret-of-the-payload');
  },
  TIMEOUT_MS * 4,
);
