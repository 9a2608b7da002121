/** The agent's side of the contracts: the real session, journal and executor, over real sockets. */
import { join } from 'node:path';
import { z } from 'zod';
import { commandExecutor } from '../../src/commands/engine/executor.ts';
import { commandHandler } from '../../src/commands/engine/handler.ts';
import { commandProgress } from '../../src/commands/engine/progress.ts';
import { COMMAND_HANDLERS } from '../../src/commands/registry.ts';
import { serviceTokens } from '../../src/control-plane/credentials/service-token.ts';
import { restClient } from '../../src/control-plane/rest/client.ts';
import { sessionPace } from '../../src/control-plane/session/pace.ts';
import type { StatusSource } from '../../src/control-plane/session/ports.ts';
import { type SessionState, sessionState } from '../../src/control-plane/session/state.ts';
import { controlPlaneSession } from '../../src/control-plane/session.ts';
import { AgentError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/ports.ts';
import { systemNetwork } from '../../src/platform/network/open.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { workElsewhere } from '../../src/platform/worker.ts';
import type { Policy } from '../../src/policy/decision.ts';
import type { ClusterStatus } from '../../src/protocol/rest.ts';
import { openDatabase } from '../../src/store/database.ts';
import { commandJournal } from '../../src/store/journal/commands.ts';
import { sessionMemory } from '../../src/store/session-memory.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { type MemoryLog, memoryLog } from '../support/memory-log.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

export const AGENT_ID = 'agent-1';
export const TOKEN = 'contract-token';
const VERSION = '1.2.3';

export interface ContractAgent extends AsyncDisposable {
  readonly state: SessionState;
  readonly log: MemoryLog;
  /** How often each `count` command had its effect. */
  readonly effects: ReadonlyMap<string, number>;
  /** What the real commands work on. */
  readonly kubernetes: FakeKubernetes;
  /** Ends its process, as it were, and starts it again with what it had written. */
  restart(): Promise<void>;
}

export interface ContractAgentOptions {
  readonly url: string;
  readonly transport: 'websocket' | 'rest';
  /** Its time runs this many times faster: for what waits for a resend or a refused token. */
  readonly hurry?: number;
}

const ALLOWED = { allowed: true } as const;
const EVERYTHING: Policy = {
  command: () => ALLOWED,
  isAsked: () => false,
  windowsAhead: () => undefined,
  access: () => ALLOWED,
  object: () => ALLOWED,
  request: () => ALLOWED,
};

export const STATUS: ClusterStatus = {
  nodes: [],
  namespaces: ['default'],
  deployments: [],
  services: [],
  pods: [],
  metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 0, node_count: 1 },
  timestamp: '2026-01-01T00:00:00.000Z',
};

export async function startContractAgent(options: ContractAgentOptions): Promise<ContractAgent> {
  const directory = await tempDirectory();
  const kubernetes = await startFakeKubernetes();
  const log = memoryLog();
  const effects = new Map<string, number>();
  const clock = scaledClock(options.hurry ?? 1);
  let state = sessionState({ clock }, 'registering');
  const start = () => {
    const stop = new AbortController();
    state = sessionState({ clock }, 'registering');
    const done = runAgent(
      { clock, log, state, effects, kubernetes: clientOf(kubernetes) },
      { ...options, databasePath: join(directory.path, 'agent.db') },
      stop.signal,
    );
    return async () => {
      stop.abort();
      await done;
    };
  };
  let end = start();
  return {
    get state() {
      return state;
    },
    log,
    effects,
    kubernetes,
    restart: async () => {
      await end();
      end = start();
    },
    [Symbol.asyncDispose]: async () => {
      await end();
      await kubernetes[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function runAgent(
  deps: {
    readonly clock: Clock;
    readonly log: MemoryLog;
    readonly state: SessionState;
    readonly effects: Map<string, number>;
    readonly kubernetes: ReturnType<typeof clientOf>;
  },
  options: ContractAgentOptions & { readonly databasePath: string },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, state, kubernetes } = deps;
  const random = systemRandom;
  const { database } = openDatabase({ clock }, options.databasePath);
  const journal = commandJournal({ database, clock, runSoon: systemRunSoon });
  const progress = commandProgress({ clock });
  const executor = commandExecutor({
    ended: () => undefined,
    clock,
    log,
    journal,
    progress,
    kubernetes,
    policy: EVERYTHING,
    loadHandlers: async () => [...COMMAND_HANDLERS, ...handlersCounting(deps.effects)],
    openChannels: async () => {
      throw new AgentError('NOT_FOUND', 'There are no pods here', { hint: 'Look' });
    },
    workElsewhere,
    askHelper: async () => {
      throw new AgentError('HELPER_UNREACHABLE', 'There is no helper here', { hint: 'Look' });
    },
    releases: {
      find: async () => {
        throw new AgentError('DOWNLOAD_FAILED', 'There are no releases here', { hint: 'Look' });
      },
    },
    newestK3s: async () => {
      throw new AgentError('DOWNLOAD_FAILED', 'There are no channels here', { hint: 'Look' });
    },
    ownToken: {
      inUse: () => TOKEN,
      settled: () => TOKEN,
      begin: async () => undefined,
      goBack: async () => undefined,
    },
    node: 'node-1',
    clusterStatus: async () => {
      throw new AgentError('KUBERNETES_API', 'There is no cluster here', { hint: 'Look' });
    },
  });
  const token = async () => TOKEN;
  const memory = sessionMemory(database, options.url);
  const session = controlPlaneSession(
    {
      clock,
      random,
      log,
      state,
      progress,
      token,
      memory,
      status: STATUS_SOURCE,
      inbox: journal,
      outbox: journal,
      dataPlane: undefined,
      pace: sessionPace({ random }, { heartbeatIntervalMs: 1_000, statusIntervalMs: 1_000 }),
      tokens: serviceTokens({ random }, memory.read()?.serviceTokenHash),
      network: () =>
        systemNetwork({ ca: undefined, proxy: { url: '', credentials: '', noProxy: '' } }),
      onNewAccess: () => () => undefined,
      restClient: ({ http }) =>
        restClient(
          { clock, random, http, token },
          { baseUrl: options.url, version: VERSION, ca: undefined },
        ),
      facts: async () => REGISTER_FACTS,
      standing: () => ({ isPrivate: true, routes: 0, health: {} }),
      isLeaving: async () => false,
      registration: async () => ({
        id: AGENT_ID,
        name: 'vm',
        cluster_name: 'contract',
        version: VERSION,
        labels: LABELS,
        status: 'registering',
        control_plane_url: '',
        last_seen: clock.now().toISOString(),
      }),
      heartbeat: () => ({
        agent_id: AGENT_ID,
        cluster_name: 'contract',
        status: 'connected',
        proxy_status: 'direct',
        metadata: { version: VERSION },
        timestamp: clock.now().toISOString(),
      }),
    },
    {
      agentId: AGENT_ID,
      version: VERSION,
      apiUrl: options.url,
      allowInsecure: true,
      transport: options.transport,
      pollIntervalMs: 200,
    },
  );
  const running = await Promise.all([executor.start(signal), session.start(signal)]);
  await Promise.all(running.map(({ done }) => done));
  // Writes are committed in their order: when this one is, so are those before it.
  await journal.prune();
  database.close();
}

const LABELS = { hostname: 'vm', 'agent.pipeops.io/version': VERSION };
const REGISTER_FACTS = {
  name: 'contract',
  k8s_version: 'v1.34.1+k3s1',
  hostname: 'vm',
  server_ip: '192.0.2.1',
  region: 'unknown-country',
  cloud_provider: 'agent',
  labels: LABELS,
  tunnel_port_config: { kubernetes_api: 6443, kubelet: 10250, agent_http: 8080 },
  server_specs: { os: 'linux' },
};

const STATUS_SOURCE: StatusSource = {
  fullJson: async () => stream([JSON.stringify(STATUS)]),
  reports: () => {
    let sequence = 0;
    return {
      next: async () => {
        sequence += 1;
        const { metrics, timestamp, ...changed } = STATUS;
        const lists = Object.fromEntries(
          Object.entries(changed).map(([kind, list]) => [kind, list ?? []]),
        );
        return stream([
          {
            kind: 'full' as const,
            sequence,
            part: 1,
            parts: 1,
            removed: {},
            metrics,
            changed: lists,
            timestamp,
          },
        ]);
      },
      reset: () => undefined,
    };
  },
  summary: () => ({
    kubernetesVersion: 'v1.34.1+k3s1',
    nodes: 1,
    pods: 0,
    cpuPercent: 0,
    memoryPercent: 0,
  }),
};

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** `count` has an effect that is counted; `wait` tells so and waits to be stopped. */
function handlersCounting(effects: Map<string, number>) {
  const common = {
    payload: z.strictObject({ name: z.string() }),
    data: z.strictObject({ name: z.string() }),
    priority: 'normal',
    lane: (payload: { name: string }) => payload.name,
    timeoutMs: () => 60_000,
    afterRestart: 'rerun',
  } as const;
  return [
    commandHandler({
      ...common,
      type: 'count',
      run: async ({ name }, { commandId }) => {
        effects.set(commandId, (effects.get(commandId) ?? 0) + 1);
        return { output: 'counted', data: { name } };
      },
    }),
    commandHandler({
      ...common,
      type: 'wait',
      run: async (_, { signal, progress }) => {
        progress('waiting', { waiting: true });
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve, { once: true });
        });
        throw new AgentError('COMMAND_CANCELLED', 'It waited until it was stopped');
      },
    }),
  ];
}
