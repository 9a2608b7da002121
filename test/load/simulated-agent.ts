import { serviceTokens } from '../../src/control-plane/credentials/service-token.ts';
import { restClient } from '../../src/control-plane/rest/client.ts';
import { sessionPace } from '../../src/control-plane/session/pace.ts';
import type {
  CommandInbox,
  ProgressFeed,
  RememberedSession,
  ResultOutbox,
  StatusSource,
} from '../../src/control-plane/session/ports.ts';
import { sessionState } from '../../src/control-plane/session/state.ts';
import { controlPlaneSession, type SessionDeps } from '../../src/control-plane/session.ts';
import { AgentError } from '../../src/core/errors.ts';
import type { Clock, Http, Log, Random, WebSocketDial } from '../../src/core/ports.ts';

const HEARTBEAT_MS = 30_000;
const STATUS_MS = 60_000;
const POLL_MS = 5_000;

export interface SimulatedAgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly dial?: WebSocketDial;
  /** It then speaks REST alone. */
  readonly http?: Http;
  readonly log?: Log;
  readonly inbox?: CommandInbox;
  readonly outbox?: ResultOutbox;
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

const NO_LOG: Log = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  with: () => NO_LOG,
};

const NO_COMMANDS: CommandInbox & ResultOutbox & ProgressFeed = {
  accept: async () => 'full',
  cancel: async () => 'unknown',
  pending: () => [],
  delivered: async () => undefined,
  whenPending: untilAborted,
  take: () => [],
  whenProgress: untilAborted,
};

const NO_CLUSTER: StatusSource = {
  fullJson: async () => toStream([]),
  reports: () => ({ next: async () => toStream([]), reset: () => undefined }),
  summary: () => ({ kubernetesVersion: '', nodes: 0, pods: 0, cpuPercent: 0, memoryPercent: 0 }),
};

async function* toStream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** Of an agent that has the WebSocket alone. */
const noRest: Http = async () => {
  throw new AgentError('NOT_FOUND', 'There is no REST here', { hint: 'Look' });
};

/** Of one that has REST alone. */
const noDial: WebSocketDial = () => {
  throw new AgentError('INTERNAL', 'There is no WebSocket here');
};

const token = async () => 'token';

/**
 * The real session of one agent, over a dial or HTTP of the test's own, until the signal.
 * @returns when it has ended
 */
export async function runSimulatedAgent(
  deps: SimulatedAgentDeps,
  agentId: string,
  signal: AbortSignal,
): Promise<void> {
  const session = controlPlaneSession(sessionDeps(deps), {
    agentId,
    version: '1.2.3',
    apiUrl: 'https://cp.test/',
    allowInsecure: false,
    transport: deps.http === undefined ? 'websocket' : 'rest',
    pollIntervalMs: POLL_MS,
  });
  await (await session.start(signal)).done;
}

function sessionDeps(deps: SimulatedAgentDeps): SessionDeps {
  let remembered: RememberedSession | undefined;
  const { clock, random, dial = noDial, http = noRest } = deps;
  const pace = sessionPace(
    { random },
    { heartbeatIntervalMs: HEARTBEAT_MS, statusIntervalMs: STATUS_MS },
  );
  return {
    network: () => ({ http, dial, close: () => undefined }),
    onNewAccess: () => () => undefined,
    restClient: (network) =>
      restClient(
        { clock, random, http: network.http, token },
        { baseUrl: 'https://cp.test', version: '1.2.3', ca: undefined },
      ),
    registration: async () => ({
      id: 'simulated',
      name: 'vm',
      cluster_name: 'fleet',
      version: '1.2.3',
      labels: {},
      status: 'registering',
      control_plane_url: '',
      last_seen: clock.now().toISOString(),
    }),
    heartbeat: () => ({
      agent_id: 'simulated',
      cluster_name: 'fleet',
      status: 'connected',
      proxy_status: 'direct',
      metadata: { version: '1.2.3' },
      timestamp: clock.now().toISOString(),
    }),
    clock,
    random,
    pace,
    status: NO_CLUSTER,
    dataPlane: undefined,
    standing: () => ({ isPrivate: true, routes: 0, health: {} }),
    isLeaving: async () => false,
    log: deps.log ?? NO_LOG,
    state: sessionState({ clock }, 'registering'),
    tokens: serviceTokens({ random }, undefined),
    inbox: deps.inbox ?? NO_COMMANDS,
    outbox: deps.outbox ?? NO_COMMANDS,
    progress: NO_COMMANDS,
    token,
    memory: {
      read: () => remembered,
      write: (session) => {
        remembered = session;
      },
    },
    facts: async () => ({
      name: 'fleet',
      k8s_version: '',
      hostname: 'vm',
      server_ip: '',
      region: 'x',
      cloud_provider: 'agent',
      tunnel_port_config: { kubernetes_api: 6443, kubelet: 10250, agent_http: 8080 },
      labels: { hostname: 'vm', 'agent.pipeops.io/version': '1.2.3' },
      server_specs: {},
    }),
  };
}
