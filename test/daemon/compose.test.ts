/** The whole daemon in this process, against a real control plane and an API in Kubernetes' shape. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { placesOf } from '../../src/core/places.ts';
import { NO_RELEASE_KEYS } from '../../src/core/release-keys.ts';
import { runDaemon } from '../../src/daemon/compose.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import {
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  ReadyAnswer,
  type Reason,
} from '../../src/protocol/local-api.ts';
import { METRICS } from '../../src/telemetry/metrics/table.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import type { CommandRecord } from '../support/control-plane/store.ts';
import {
  type FakeKubernetes,
  serviceAccountToken,
  startFakeKubernetes,
} from '../support/fake-kubernetes.ts';
import { serviceManager } from '../support/service-manager.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';

const TOKEN = 'a-control-plane-token';
const AGENT_ID = 'agent-under-test';
const TIMEOUT_MS = 20_000;
const DEPLOYMENT = '/apis/apps/v1/namespaces/default/deployments/web';
const SERVICE = '/api/v1/namespaces/default/services/web';

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let controlPlane: ControlPlane;
let stop: AbortController;
let done: Promise<void>;
let log: string[];

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  controlPlane = startControlPlane({
    token: TOKEN,
    databasePath: join(directory.path, 'control-plane.db'),
  });
  await mkdir(join(directory.path, 'credentials'));
  await writeKubeconfig(kubernetes.token);
  await writeToken(TOKEN);
  done = Promise.resolve();
  stop = new AbortController();
  log = [];
});

afterEach(async () => {
  stop.abort();
  await done;
  await controlPlane[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const writeToken = (token: string) =>
  writeFile(join(directory.path, 'credentials/control-plane-token'), `${token}\n`);

const writeKubeconfig = (token: string) =>
  writeFile(
    join(directory.path, 'kubeconfig'),
    renderKubeconfig('test', { server: kubernetes.url, ca: kubernetes.ca, token }),
  );

function start(
  fileText = `agent: {id: ${AGENT_ID}}
http: {port: 0, tls_port: 0}
control_plane:
  url: "${controlPlane.url}"
  heartbeat_interval: 1s
  status_interval: 1s
  poll_interval: 500ms
`,
  env: Readonly<Record<string, string>> = {},
): void {
  const configPath = join(directory.path, 'config.yaml');
  const loaded = loadConfig({
    flags: {},
    env: {},
    fileText,
    filePath: configPath,
    hostname: 'node-1',
  });
  stop = new AbortController();
  done = runDaemon(
    {
      clock: systemClock,
      random: systemRandom,
      files: systemFiles('/'),
      places: placesOf(),
      http: systemHttp,
      authorities: async () => [],
      architecture: 'x64',
      releaseKeys: NO_RELEASE_KEYS,
      env: { STATE_DIRECTORY: directory.path, RUNTIME_DIRECTORY: directory.path, ...env },
      lookAtMachine: async () => ({ results: [], k3s: undefined }),
      endProcess: (exitCode) => {
        throw new Error(`the process must end: ${exitCode}`);
      },
      write: (line) => void log.push(line),
    },
    loaded,
    configPath,
    stop.signal,
  );
}

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://agent${path}`, { ...init, unix: join(directory.path, 'agent.sock') });

/** It says what is promised, and nothing else. */
function exactly<T>(schema: { parse(json: unknown): T }, json: unknown): T {
  const read = schema.parse(json);
  expect<unknown>(read).toEqual(json);
  return read;
}

async function health(): Promise<DetailedHealth> {
  return exactly(DetailedHealth, await (await ask('/api/health/detailed')).json());
}

/** What /ready says once it gives this reason first, or none: an answer may be a second old. */
const waitForReady = (code?: string) =>
  waitUntil(`/ready gives ${code ?? 'no reason'}`, TIMEOUT_MS, async () => {
    const response = await ask('/ready');
    const answer = exactly(ReadyAnswer, await response.json());
    return answer.reasons[0]?.code === code ? { status: response.status, answer } : undefined;
  });

const waitForPhase = (phase: DetailedHealth['session']['phase']) =>
  waitUntil(`the session is ${phase}`, TIMEOUT_MS, async () => {
    return (await health()).session.phase === phase;
  });

function queue(type: string, payload: Record<string, unknown>, id = crypto.randomUUID()): string {
  controlPlane.store.queue(AGENT_ID, {
    id,
    type,
    payload,
    timeout_seconds: null,
    created_at: new Date().toISOString(),
  });
  return id;
}

const finished = (id: string): Promise<CommandRecord> =>
  controlPlane.waitFor(() => {
    const command = controlPlane.store.command(AGENT_ID, id);
    return command?.state === 'done' ? command : undefined;
  }, TIMEOUT_MS);

const run = (type: string, payload: Record<string, unknown>) => finished(queue(type, payload));

const WEB = { name: 'web', image: 'example/web:1', replicas: 2, ports: [{ container_port: 80 }] };

test('it registers, reports, and says that it is ready', async () => {
  start();
  await waitForPhase('connected');
  const agent = await controlPlane.waitFor(() => {
    const known = controlPlane.store.agent(AGENT_ID);
    return known?.last_heartbeat && known.last_status ? known : undefined;
  }, TIMEOUT_MS);
  expect({ registrations: agent.registrations, errors: agent.protocol_errors }).toEqual({
    registrations: 1,
    errors: [],
  });
  expect(await waitForReady()).toEqual({ status: 200, answer: { ready: true, reasons: [] } });
  expect(await (await ask('/metrics')).text()).toContain('pipeops_agent_session_connected 1\n');
  expect((await health()).session).toMatchObject({ transport: 'websocket', down_since: null });
  expect(log.join('\n')).not.toContain(TOKEN);
});

test('all who are told how it is are told the same: what is wrong, since when, and how often', async () => {
  start();
  await waitForReady();
  const heartbeat = () => controlPlane.store.agent(AGENT_ID)?.last_heartbeat?.metadata;
  await controlPlane.waitFor(() => heartbeat()?.health === 'ready' || undefined, TIMEOUT_MS);
  const node = '/api/v1/nodes/worker-1';
  kubernetes.put(node, { status: { conditions: [{ type: 'Ready', status: 'False' }] } });
  await controlPlane.waitFor(() => heartbeat()?.problems === 'nodes' || undefined, TIMEOUT_MS);
  expect(heartbeat()?.health).toBe('ready');
  expect(await (await ask('/metrics')).text()).toContain(
    'pipeops_agent_problems{warnable="nodes"} 1\n',
  );
  const answer = exactly(HealthAnswer, await (await ask('/api/health')).json());
  const { reasons, warnings } = await health();
  const { warnable, about, since, times, severity, ...warning } = answer.problems[0] ?? {};
  expect({ reasons, warnings }).toEqual({ reasons: [], warnings: [warning as Reason] });
  expect({ warnable, about, times, severity }).toEqual({
    ...{ warnable: 'nodes', about: 'worker-1', times: 1, severity: 'warns' },
  });
  expect(answer.history[0]).toMatchObject({ warnable: 'nodes', since, until: null });
});

test('the control plane hears which hosts lead to applications', async () => {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  kubernetes.put(SERVICE, {
    metadata: { namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  kubernetes.put('/apis/networking.k8s.io/v1/namespaces/default/ingresses/web', {
    metadata: { namespace: 'default', labels: { 'pipeops.io/managed': 'true' } },
    spec: { rules: [{ host: 'shop.example', http: { paths: [{ pathType: 'Prefix', backend }] } }] },
  });
  start();
  const route = await controlPlane.waitFor(() => {
    const { cluster_uuid = '' } = controlPlane.store.agent(AGENT_ID) ?? {};
    return controlPlane.store.routes.routes(cluster_uuid)[0];
  }, TIMEOUT_MS);
  expect(route).toEqual({
    hostname: 'shop.example',
    path: '/',
    path_type: 'Prefix',
    tls: false,
    namespace: 'default',
    service_name: 'web',
    service_port: 80,
    ingress_name: 'web',
  });
});

describe('commands', () => {
  test(
    'deploy, scale, get_resources and delete have their effect and give their data',
    async () => {
      start();
      await waitForPhase('connected');
      expect((await run('deploy', WEB)).result).toMatchObject({
        success: true,
        data: { replicas_wanted: 2, replicas_ready: 2, service_address: '10.43.0.7:80' },
      });
      expect(kubernetes.object(DEPLOYMENT)?.spec).toMatchObject({ replicas: 2 });
      expect((await run('scale', { name: 'web', replicas: 3 })).result).toMatchObject({
        success: true,
        data: { replicas_wanted: 3, replicas_ready: 3 },
      });
      const listed = await run('get_resources', { kinds: ['deployments'], namespace: 'default' });
      expect(listed.result).toMatchObject({ success: true, output: '1 deployments\n' });
      expect((await run('get_resources', {})).result).toMatchObject({ success: true });
      expect((await run('delete', { name: 'web' })).result).toMatchObject({
        success: true,
        data: { deleted: ['Service/web', 'Deployment/web'] },
      });
      expect([kubernetes.object(DEPLOYMENT), kubernetes.object(SERVICE)]).toEqual([
        undefined,
        undefined,
      ]);
      expect((await run('delete', { name: 'web' })).result).toMatchObject({
        data: { deleted: [] },
      });
    },
    TIMEOUT_MS,
  );

  test('what cannot be done is answered with its code', async () => {
    start();
    await waitForPhase('connected');
    const codes = await Promise.all(
      [
        run('reformat', {}),
        run('deploy', { name: 'Not A Name' }),
        run('deploy', { ...WEB, namespace: 'kube-system' }),
        run('scale', { name: 'absent', replicas: 1 }),
      ].map(async (command) => (await command).result?.error_code),
    );
    expect(codes).toEqual(['COMMAND_UNSUPPORTED', 'COMMAND_INVALID', 'POLICY_DENIED', 'NOT_FOUND']);
  });

  test('a bad payload is answered with every problem at once', async () => {
    start();
    await waitForPhase('connected');
    const { result } = await run('deploy', { name: 'Web', image: '', replicas: -1, color: 'red' });
    for (const field of ['name', 'image', 'replicas', 'color']) {
      expect(result?.error).toContain(field);
    }
  });

  test('a rollout that does not finish in its time says so, with what is ready', async () => {
    kubernetes.rollouts = 'stuck';
    start();
    await waitForPhase('connected');
    const { result } = await run('deploy', { ...WEB, wait_seconds: 0.2 });
    expect(result).toMatchObject({
      success: false,
      error_code: 'ROLLOUT_FAILED',
      data: { replicas_wanted: 2, replicas_ready: 0 },
    });
  });

  test('a deploy follows the rollout to its end', async () => {
    kubernetes.rollouts = 'stuck';
    start();
    await waitForPhase('connected');
    const id = queue('deploy', WEB);
    await waitUntil('it watches the rollout', TIMEOUT_MS, async () =>
      kubernetes.requests.includes('GET /apis/apps/v1/namespaces/default/deployments'),
    );
    await waitUntil('the rollout is seen', TIMEOUT_MS, async () => {
      kubernetes.finishRollouts();
      return controlPlane.store.command(AGENT_ID, id)?.state === 'done';
    });
    expect((await finished(id)).result).toMatchObject({ success: true });
  });

  test('a command that was running when the daemon stopped runs again, with one result', async () => {
    kubernetes.rollouts = 'stuck';
    start();
    await waitForPhase('connected');
    const id = queue('deploy', WEB);
    await waitUntil('the deploy has begun', TIMEOUT_MS, async () => {
      return kubernetes.object(SERVICE) !== undefined;
    });
    stop.abort();
    await done;
    kubernetes.rollouts = 'ready';
    start();
    const command = await finished(id);
    expect({
      success: command.result?.success,
      attempts: command.result?.metadata.attempts,
      extra: command.extra_results,
      generation: kubernetes.object(DEPLOYMENT)?.metadata['generation'],
    }).toEqual({ success: true, attempts: 2, extra: 0, generation: 1 });
  });
});

describe('trouble', () => {
  test('a refused token is no exit: it says so, and a new token is taken up', async () => {
    await writeToken('not-the-token');
    start();
    await waitForPhase('refused');
    expect((await waitForReady('TOKEN_REJECTED')).status).toBe(503);
    await writeToken(TOKEN);
    await waitForPhase('connected');
  });

  test('the control plane gives another token, which replaces the first only when it works', async () => {
    start();
    await waitForPhase('connected');
    const tokenFile = Bun.file(join(directory.path, 'credentials/control-plane-token'));
    const rotate = (token: string) => run('rotate_token', { new_token: token });
    expect((await rotate('a-token-that-nobody-takes')).result).toMatchObject({
      success: false,
      error_code: 'TOKEN_REJECTED',
    });
    expect(await tokenFile.text()).toBe(`${TOKEN}\n`);
    controlPlane.tokens.add('the-next-token');
    const rotated = await rotate('the-next-token');
    expect([rotated.extra_results, rotated.result]).toMatchObject([
      0,
      { success: true, data: { in_use: true } },
    ]);
    controlPlane.tokens.delete(TOKEN);
    expect(await tokenFile.text()).toBe('the-next-token\n');
    stop.abort();
    await done;
    start();
    await waitForPhase('connected');
    const told = JSON.stringify([log, rotated.result]);
    expect(['the-next-token', 'a-token-that-nobody'].filter((text) => told.includes(text))).toEqual(
      [],
    );
  });

  test('a result that could not be sent is sent when the control plane is back', async () => {
    const { port } = controlPlane;
    kubernetes.rollouts = 'stuck';
    start();
    await waitForPhase('connected');
    const id = queue('deploy', WEB);
    await waitUntil('the deploy has begun', TIMEOUT_MS, async () => {
      return kubernetes.object(SERVICE) !== undefined;
    });
    await controlPlane[Symbol.asyncDispose]();
    await waitForPhase('unreachable');
    kubernetes.finishRollouts();
    await waitUntil('the result waits', TIMEOUT_MS, async () => {
      return (await health()).commands.undelivered === 1;
    });
    controlPlane = startControlPlane({
      token: TOKEN,
      listen: { hostname: '127.0.0.1', port },
      databasePath: join(directory.path, 'control-plane.db'),
    });
    expect(await finished(id)).toMatchObject({ extra_results: 0, result: { success: true } });
  });

  test('Kubernetes that fails makes it not ready, with the reason', async () => {
    start();
    await waitForPhase('connected');
    kubernetes.failWith = 503;
    expect((await waitForReady('KUBERNETES_API')).status).toBe(503);
  });

  test('a token past half its life is renewed and used', async () => {
    const issuedAt = new Date(Date.now() - 20 * 24 * 3_600_000);
    kubernetes.token = serviceAccountToken(issuedAt, 30 * 24 * 3_600, 'old');
    await writeKubeconfig(kubernetes.token);
    start();
    await waitForPhase('connected');
    const renewed = join(directory.path, 'credentials/kubernetes-token');
    await waitUntil('it is renewed', TIMEOUT_MS, async () => Bun.file(renewed).exists());
    expect((await Bun.file(renewed).text()).trim()).toBe(kubernetes.token);
    expect((await run('get_resources', {})).result).toMatchObject({ success: true });
  });

  test('lost, doubled and reordered messages change nothing about the outcome', async () => {
    start();
    await waitForPhase('connected');
    const faults = `${controlPlane.adminUrl}/admin/faults`;
    for (const fault of [
      { kind: 'close', path: '/commands' },
      { kind: 'duplicate', path: '/commands' },
      { kind: 'reorder', path: '/commands' },
      { kind: 'garbage', path: '/commands' },
      { kind: '500', path: '/result' },
      { kind: 'close', path: '/result' },
      { kind: '429', path: '/heartbeat' },
      { kind: 'drop', path: '/status' },
    ]) {
      await fetch(faults, { method: 'POST', body: JSON.stringify(fault) });
    }
    const ids = ['web', 'shop', 'blog'].map((name) => queue('deploy', { ...WEB, name }));
    const commands = await Promise.all(ids.map(finished));
    expect(commands.map(({ result, extra_results }) => [result?.success, extra_results])).toEqual([
      [true, 0],
      [true, 0],
      [true, 0],
    ]);
    expect(kubernetes.object(DEPLOYMENT)?.metadata['generation']).toBe(1);
  });

  test('a damaged store is set aside and the daemon starts with a fresh one', async () => {
    await writeFile(join(directory.path, 'agent.db'), 'this is not a database'.repeat(500));
    start();
    await waitForPhase('connected');
    expect(log.join('\n')).toContain('STORE_CORRUPT');
  });
});

test('a key that it does not know is told in the log and as a warning, and it works', async () => {
  await rm(join(directory.path, 'credentials/control-plane-token'));
  start('http: {port: 0, tls_port: 0}\nlog:\n  levl: debug\n');
  expect((await waitForReady()).status).toBe(200);
  const message =
    `${join(directory.path, 'config.yaml')}, ` +
    'line 3: log.levl: is not a setting and is ignored, did you mean "log.level"?';
  expect((await health()).warnings).toContainEqual({
    code: 'SETTING_UNKNOWN',
    message,
    hint: expect.stringContaining('sudo systemctl restart pipeops-agent'),
  });
  const told = log.filter((line) => line.includes('a key of the configuration is not known'));
  expect(told).toHaveLength(1);
  expect(told[0]).toContain('levl');
});

test('without a token it is standalone and ready', async () => {
  await rm(join(directory.path, 'credentials/control-plane-token'));
  start();
  await waitForPhase('standalone');
  expect((await waitForReady()).status).toBe(200);
  expect(controlPlane.store.agents()).toEqual([]);
});

test('a node without a kubelet is alive but not ready', async () => {
  start('agent: {role: node}\nhttp: {port: 0, tls_port: 0}\n');
  const answer = await waitUntil('it answers', TIMEOUT_MS, async () => ask('/ready'));
  expect({ status: answer.status, body: await answer.json() }).toMatchObject({
    status: 503,
    body: { reasons: [{ code: 'K3S_NOT_READY' }] },
  });
  expect((await ask('/health')).status).toBe(200);
});

test('the cluster is reached through the session and over the doors, within the policy', async () => {
  start();
  await waitForReady();
  const remote = `${controlPlane.adminUrl}/admin/agents/${AGENT_ID}/proxy`;
  const version = await waitUntil('the session carries requests', TIMEOUT_MS, async () => {
    const answer = await fetch(`${remote}/version`);
    return answer.status === 200 ? await answer.json() : undefined;
  });
  expect(await (await ask('/proxy/version')).json()).toEqual(version);
  const access = exactly(LocalAccess, await (await ask('/api/k8s/local-access')).json());
  const token = (await Bun.file(access.token_file).text()).trim();
  const overTls = await fetch(`${access.server}/version`, {
    headers: { authorization: `Bearer ${token}` },
    tls: { ca: access.certificate },
  });
  expect(await overTls.json()).toEqual(version);
  const secrets = '/api/v1/namespaces/default/secrets';
  for (const answer of [await fetch(`${remote}${secrets}`), await ask(`/proxy${secrets}`)]) {
    expect([answer.status, ((await answer.json()) as { reason: string }).reason]).toEqual([
      403,
      'Forbidden',
    ]);
  }
});

/** The session carries a request that Kubernetes answers when it is released. */
async function slowRequest() {
  const remote = `${controlPlane.adminUrl}/admin/agents/${AGENT_ID}/proxy`;
  await waitUntil('the session carries requests', TIMEOUT_MS, async () => {
    return (await fetch(`${remote}/version`)).status === 200;
  });
  const held = Promise.withResolvers<void>();
  kubernetes.put(DEPLOYMENT, { spec: { replicas: 7 } });
  kubernetes.holding = held.promise;
  const answer = fetch(`${remote}${DEPLOYMENT}`);
  await waitUntil('it is under way', TIMEOUT_MS, async () => {
    return kubernetes.requests.includes(`GET ${DEPLOYMENT}`);
  });
  return { remote, answer, release: held.resolve };
}

test('at its stop a watch ends, what ends by itself is waited for, what is new waits for the next agent', async () => {
  start();
  await waitForReady();
  const { remote, answer: slow, release } = await slowRequest();
  const watch = await fetch(`${remote}/apis/apps/v1/namespaces/default/deployments?watch=true`);
  const events = watch.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await events?.read())?.value).toContain('BOOKMARK');
  stop.abort();
  expect((await events?.read())?.done).toBe(true);
  const later = fetch(`${remote}/version`);
  release();
  expect(await (await slow).json()).toMatchObject({ spec: { replicas: 7 } });
  await done;
  start();
  expect((await later).status).toBe(200);
});

test('at its stop systemd hears so first, and that it lives until it is over', async () => {
  const path = join(directory.path, 'notify');
  using manager = serviceManager(path);
  const heard: string[] = [];
  const listen = () => {
    for (let state = manager.receive(); state !== undefined; state = manager.receive()) {
      heard.push(state);
    }
    return heard;
  };
  start(undefined, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' });
  await waitForReady();
  const { answer, release } = await slowRequest();
  expect(listen().filter((state) => state !== 'WATCHDOG=1')).toEqual(['READY=1\nSTATUS=running']);
  heard.length = 0;
  stop.abort();
  expect(listen()).toEqual(['STOPPING=1']);
  await waitUntil('the watchdog hears of it', TIMEOUT_MS, async () => {
    return listen().includes('WATCHDOG=1');
  });
  release();
  expect((await answer).status).toBe(200);
  await done;
  const kept = expect.stringMatching(/^FDSTORE=1\nFDNAME=tcp-\d+$/);
  expect(listen().filter((state) => state !== 'WATCHDOG=1')).toEqual(['STOPPING=1', kept, kept]);
});

test('stopped while root removes the agent it says goodbye; at any other stop it does not', async () => {
  start();
  await waitForPhase('connected');
  stop.abort();
  await done;
  await controlPlane.waitFor(
    () => controlPlane.link(AGENT_ID) === undefined || undefined,
    TIMEOUT_MS,
  );
  expect(controlPlane.store.agent(AGENT_ID)?.left_at).toBeNull();
  start();
  await waitForPhase('connected');
  await writeFile(join(directory.path, 'leaving'), '');
  stop.abort();
  await done;
  const leftAt = () => controlPlane.store.agent(AGENT_ID)?.left_at ?? undefined;
  expect(await controlPlane.waitFor(leftAt, TIMEOUT_MS)).toMatch(/^\d{4}-/);
});

test('what the policy refused is told after a restart, too', async () => {
  const refused = async () => {
    const answer = await ask('/api/policy/refusals').catch(() => undefined);
    return answer?.ok ? await answer.json() : undefined;
  };
  start();
  await waitUntil('it is refused', TIMEOUT_MS, async () => {
    const answer = await ask('/proxy/api/v1/secrets').catch(() => undefined);
    return answer?.status === 403 || undefined;
  });
  const before = await refused();
  stop.abort();
  await done;
  start();
  const after = await waitUntil('the next one tells', TIMEOUT_MS, refused);
  expect(before).toMatchObject({ items: [{ kind: 'request', about: 'GET /api/v1/secrets' }] });
  expect(after).toEqual(before);
});

test('/metrics tells of session, commands, Kubernetes, policy, proxy and tunnel', async () => {
  start();
  await waitForReady();
  await run('deploy', { ...WEB, namespace: 'kube-system' });
  const remote = `${controlPlane.adminUrl}/admin/agents/${AGENT_ID}/proxy`;
  await waitUntil('a request is refused', TIMEOUT_MS, async () => {
    return (await fetch(`${remote}/api/v1/namespaces/default/secrets`)).status === 403;
  });
  const text = await (await ask('/metrics')).text();
  for (const line of [
    'pipeops_agent_session_connected 1',
    'pipeops_agent_session_transport{transport="websocket"} 1',
    'pipeops_agent_session_transport{transport="rest"} 0',
    'pipeops_agent_session_down_seconds 0',
    'pipeops_agent_sessions_total 1',
    'pipeops_agent_commands_open{state="running"} 0',
    'pipeops_agent_policy_refusals_total{kind="command"} 1',
    'pipeops_agent_policy_refusals_total{kind="request"} 1',
    'pipeops_agent_proxy_requests{state="running"} 0',
    'pipeops_agent_tunnel_streams 0',
    'pipeops_agent_tunnel_bytes_total{direction="in"} 0',
    'pipeops_agent_websocket_active_connections 1',
    'pipeops_agent_watch_lag_seconds{kind="pods"} 0',
    'pipeops_agent_connection_state_changes_total{state="connected"} 1',
    'pipeops_agent_command_duration_seconds_count{type="deploy",outcome="refused"} 1',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).toMatch(
    /^pipeops_agent_kubernetes_request_duration_seconds_count\{verb="list",code="2xx"\} [1-9]/m,
  );
  expect(text).toMatch(
    /^pipeops_agent_proxy_request_duration_seconds_count\{door="control-plane",code="4xx"\} [1-9]/m,
  );
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
  expect(names).toEqual(Object.keys(METRICS));
});
