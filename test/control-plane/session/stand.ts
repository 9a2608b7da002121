/** The real session over real sockets, with inbox and outbox in memory. */

import { serviceTokens } from '../../../src/control-plane/credentials/service-token.ts';
import { restClient } from '../../../src/control-plane/rest/client.ts';
import { sessionPace } from '../../../src/control-plane/session/pace.ts';
import type {
  CommandInbox,
  DataPlane,
  RememberedSession,
  ResultOutbox,
  StatusSource,
} from '../../../src/control-plane/session/ports.ts';
import { type SessionState, sessionState } from '../../../src/control-plane/session/state.ts';
import { controlPlaneSession, type TransportChoice } from '../../../src/control-plane/session.ts';
import { bell } from '../../../src/core/bell.ts';
import type { Clock } from '../../../src/core/ports.ts';
import type { ProxySettings } from '../../../src/core/proxy-settings.ts';
import { systemNetwork } from '../../../src/platform/network/open.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import type { Command, CommandResult } from '../../../src/protocol/rest.ts';
import type { CommandProgressPayload } from '../../../src/protocol/session/messages.ts';
import { type MemoryLog, memoryLog } from '../../support/memory-log.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { waitUntil } from '../../vm/wait-until.ts';

const TIMEOUT_MS = 10_000;
export const TOKEN = 'a-control-plane-token';
export const AGENT_ID = 'agent-1';
const NO_PROXY: ProxySettings = { url: '', credentials: '', noProxy: '' };

export interface StandOptions {
  readonly url: string;
  readonly transport?: TransportChoice;
  /** How much faster than life time runs. */
  readonly speed?: number;
  /** Instead of one that runs at `speed`. */
  readonly clock?: Clock;
  readonly token?: () => string | undefined;
  /** Who is told of another way to the control plane: call them to change it. */
  readonly access?: Set<() => void>;
  readonly proxy?: ProxySettings;
  readonly ca?: string;
  readonly remembered?: RememberedSession;
  readonly dataPlane?: DataPlane;
  readonly heartbeatIntervalMs?: number;
  readonly allowInsecure?: boolean;
  readonly gatewayHosts?: readonly string[];
  /** Whether this machine leaves for good; absent: it stays. */
  readonly leaving?: () => boolean;
}

export interface Stand extends AsyncDisposable {
  readonly state: SessionState;
  readonly log: MemoryLog;
  readonly clock: Clock;
  readonly accepted: Command[];
  readonly cancelled: string[];
  readonly tokens: ReturnType<typeof serviceTokens>;
  remembered(): RememberedSession | undefined;
  finish(commandId: string): CommandResult;
  undelivered(): readonly string[];
  progress(news: CommandProgressPayload): void;
  until(what: string, condition: () => boolean): Promise<void>;
  /** How often networks were made. */
  networks(): number;
}

const emptyStatus: StatusSource = {
  fullJson: async () =>
    (async function* () {
      yield '{"nodes":null,"namespaces":null,"deployments":null,"services":null,"pods":null,';
      yield '"metrics":{"cpu_usage":0,"memory_usage":0,"pod_count":0,"node_count":0},';
      yield '"timestamp":"2026-01-01T00:00:00Z"}';
    })(),
  reports: () => {
    let sequence = 0;
    return {
      reset: () => undefined,
      next: async () =>
        (async function* () {
          sequence += 1;
          yield {
            kind: 'full' as const,
            sequence,
            part: 1,
            parts: 1,
            changed: {},
            removed: {},
            metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 0, node_count: 0 },
            timestamp: '2026-01-01T00:00:00Z',
          };
        })(),
    };
  },
  summary: () => ({
    kubernetesVersion: 'v1.34.1+k3s1',
    nodes: 1,
    pods: 9,
    cpuPercent: 12.4,
    memoryPercent: 50,
  }),
};

export function startSession(options: StandOptions): Stand {
  const clock = options.clock ?? scaledClock(options.speed ?? 1);
  const log = memoryLog();
  const state = sessionState({ clock }, 'registering');
  const commands = memoryJournal(clock);
  const news = newsFeed();
  let remembered = options.remembered;
  let networks = 0;
  const tokens = serviceTokens({ random: systemRandom }, remembered?.serviceTokenHash);
  const token = async () => (options.token === undefined ? TOKEN : options.token());
  const service = controlPlaneSession(
    {
      clock,
      random: systemRandom,
      log,
      state,
      tokens,
      token,
      status: emptyStatus,
      inbox: commands.inbox,
      outbox: commands.outbox,
      progress: news.feed,
      dataPlane: options.dataPlane,
      standing: () => ({ isPrivate: true, routes: 0, health: {} }),
      isLeaving: async () => options.leaving?.() ?? false,
      pace: sessionPace(
        { random: systemRandom },
        { heartbeatIntervalMs: options.heartbeatIntervalMs ?? 30_000, statusIntervalMs: 60_000 },
      ),
      memory: {
        read: () => remembered,
        write: (session) => {
          remembered = session;
        },
      },
      facts: async () => ({
        name: 'test',
        k8s_version: 'v1.34.1+k3s1',
        hostname: 'host',
        server_ip: '10.0.0.1',
        region: 'unknown-country',
        cloud_provider: 'agent',
        server_specs: { os: 'linux' },
        tunnel_port_config: { kubernetes_api: 6443, kubelet: 10250, agent_http: 8080 },
        labels: { hostname: 'host', 'agent.pipeops.io/version': '1.2.3' },
      }),
      network: () => {
        networks += 1;
        return systemNetwork({ ca: options.ca, proxy: options.proxy ?? NO_PROXY });
      },
      onNewAccess: (listener) => {
        options.access?.add(listener);
        return () => options.access?.delete(listener);
      },
      restClient: ({ http }) =>
        restClient(
          { clock, random: systemRandom, http, token },
          { baseUrl: options.url, version: '1.2.3', ca: options.ca },
        ),
      registration: async () => ({
        id: AGENT_ID,
        name: 'host',
        cluster_name: 'test',
        version: '1.2.3',
        labels: { hostname: 'host', 'agent.pipeops.io/version': '1.2.3' },
        status: 'registering',
        last_seen: clock.now().toISOString(),
        control_plane_url: '',
      }),
      heartbeat: () => ({
        agent_id: AGENT_ID,
        cluster_name: 'test',
        status: 'connected',
        proxy_status: 'direct',
        timestamp: clock.now().toISOString(),
        metadata: { version: '1.2.3' },
      }),
    },
    {
      agentId: AGENT_ID,
      version: '1.2.3',
      apiUrl: options.url,
      pollIntervalMs: 5_000,
      transport: options.transport ?? 'auto',
      allowInsecure: options.allowInsecure ?? false,
      gatewayHosts: options.gatewayHosts ?? [],
    },
  );
  const stop = new AbortController();
  const running = service.start(stop.signal);
  return {
    state,
    log,
    clock,
    tokens,
    accepted: commands.accepted,
    cancelled: commands.cancelled,
    remembered: () => remembered,
    finish: commands.finish,
    undelivered: commands.undelivered,
    progress: news.put,
    until: async (what, condition) => {
      await waitUntil(what, TIMEOUT_MS, async () => condition());
    },
    networks: () => networks,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await (await running).done;
    },
  };
}

function newsFeed() {
  const rung = bell();
  let news: CommandProgressPayload[] = [];
  return {
    feed: { take: () => news.splice(0), whenProgress: rung.wait },
    put: (one: CommandProgressPayload) => {
      news = [...news, one];
      rung.ring();
    },
  };
}

function memoryJournal(clock: Clock) {
  const accepted: Command[] = [];
  const cancelled: string[] = [];
  const results = new Map<string, CommandResult>();
  const pendingIds = new Set<string>();
  const rung = bell();
  const inbox: CommandInbox = {
    accept: async (command) => {
      if (accepted.some(({ id }) => id === command.id)) {
        if (results.has(command.id)) {
          pendingIds.add(command.id);
          rung.ring();
        }
        return 'duplicate';
      }
      accepted.push(command);
      return 'accepted';
    },
    cancel: async (id) => {
      cancelled.push(id);
      return accepted.some((each) => each.id === id) ? 'cancelling' : 'unknown';
    },
  };
  const outbox: ResultOutbox = {
    pending: (limit) =>
      [...pendingIds].slice(0, limit).flatMap((commandId) => {
        const result = results.get(commandId);
        return result === undefined ? [] : [{ commandId, result }];
      }),
    delivered: async (commandId) => {
      pendingIds.delete(commandId);
    },
    whenPending: rung.wait,
  };
  const finish = (commandId: string): CommandResult => {
    const at = clock.now().toISOString();
    const result: CommandResult = {
      ...{ success: true, output: `ran ${commandId}`, timestamp: at },
      metadata: { attempts: 1, started_at: at, finished_at: at, duration_ms: 1, truncated: false },
    };
    results.set(commandId, result);
    pendingIds.add(commandId);
    rung.ring();
    return result;
  };
  return { accepted, cancelled, inbox, outbox, finish, undelivered: () => [...pendingIds] };
}
