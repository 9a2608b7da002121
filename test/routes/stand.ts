/** A cluster, a control plane, and between them what tells the one of the other; all over HTTP. */

import { routeClient } from '../../src/control-plane/rest/route-client.ts';
import type { Clock } from '../../src/core/ports.ts';
import { sharedFollowing } from '../../src/kubernetes/watch/shared-following.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { type ClusterRoutes, clusterRoutes, SETTLE_MS } from '../../src/routes/cluster.ts';
import { ABSENT_PAUSE_MS } from '../../src/routes/optional-kind.ts';
import { type RouteSync, routeSync } from '../../src/routes/sync.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import type { DialectOptions } from '../support/control-plane/dialect.ts';
import { FakeCluster, type FakeObject } from '../support/fake-cluster.ts';
import { memoryLog } from '../support/memory-log.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { STANDARD_POLICY } from '../support/standard-policy.ts';

export const PATHS = {
  ingresses: '/apis/networking.k8s.io/v1/ingresses',
  services: '/api/v1/services',
  gateways: '/apis/gateway.networking.k8s.io/v1/gateways',
  httpRoutes: '/apis/gateway.networking.k8s.io/v1/httproutes',
  tcpRoutes: '/apis/gateway.networking.k8s.io/v1alpha2/tcproutes',
  udpRoutes: '/apis/gateway.networking.k8s.io/v1alpha2/udproutes',
} as const;

const TOKEN = 'token';
const AGENT_ID = 'one';
/**
 * How much faster the waits between calls pass. The whole table of routes is told after 144 s only:
 * that does not hide a change that was not told.
 */
const HASTE = 100;
/** Longest wait of a test for the control plane to know what it should. */
const KNOWN_TIMEOUT_MS = 15_000;

/** The waits of the watches' side; the informer's own stay as they are. */
const impatientClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) =>
    systemClock.sleep(
      ms === SETTLE_MS || ms === ABSENT_PAUSE_MS ? 5 : Math.min(ms, 20_000),
      signal,
    ),
};

export interface RouteStand extends AsyncDisposable {
  readonly cluster: FakeCluster;
  readonly controlPlane: ControlPlane;
  readonly log: ReturnType<typeof memoryLog>;
  /** Method, path and body of each call about routes so far, without the prefix of the path. */
  readonly calls: string[];
  routes(): ClusterRoutes;
  registered(): void;
  /** Ends the agent, without a word to anybody, and starts another one with a session. */
  restart(): Promise<void>;
  /** Resolves when the control plane knows exactly this, as `host/path service:port`. */
  knows(routes: readonly string[]): Promise<void>;
  knowsTunnels(tunnels: readonly string[]): Promise<void>;
}

export async function routeStand(
  options: { readonly dialect?: DialectOptions } = {},
): Promise<RouteStand> {
  const cluster = new FakeCluster();
  const controlPlane = startControlPlane({ token: TOKEN, dialect: options.dialect ?? {} });
  controlPlane.store.register({
    id: AGENT_ID,
    name: 'vm',
    cluster_name: 'test',
    version: '1.2.3',
    control_plane_url: '',
    labels: {},
    status: 'registering',
    last_seen: '2026-01-01T00:00:00.000Z',
  });
  const clusterUuid = controlPlane.store.agent(AGENT_ID)?.cluster_uuid ?? '';
  const log = memoryLog();
  const calls: string[] = [];
  const client = routeClient(
    {
      clock: systemClock,
      token: async () => TOKEN,
      http: (url, init) => {
        const path = new URL(url).pathname.replace('/api/v1/', '').replaceAll(clusterUuid, 'UUID');
        calls.push(`${init?.method} ${path} ${init?.body ?? ''}`);
        return systemHttp(url, init);
      },
    },
    { baseUrl: controlPlane.url, version: '1.2.3', ca: undefined },
  );
  const begin = async () => {
    const stop = new AbortController();
    const random = { ...systemRandom, fraction: () => 0.01 };
    const routes = clusterRoutes({
      clock: impatientClock,
      random,
      log,
      client: cluster.client(),
      follow: sharedFollowing({ clock: impatientClock, random, log, client: cluster.client() }),
      policy: STANDARD_POLICY,
    });
    const sync = routeSync({
      clock: scaledClock(HASTE),
      random,
      log,
      client,
      cluster: routes,
    });
    const running = [
      await routes.service.start(stop.signal),
      await sync.service.start(stop.signal),
    ];
    return {
      routes,
      sync,
      end: async () => {
        stop.abort();
        await Promise.all(running.map(({ done }) => done));
      },
    };
  };
  let agent: { routes: ClusterRoutes; sync: RouteSync; end(): Promise<void> } = await begin();
  const registered = () => agent.sync.registered(clusterUuid);
  registered();
  const known = () =>
    controlPlane.store.routes
      .routes(clusterUuid)
      .map((each) => `${each.hostname}${each.path} ${each.service_name}:${each.service_port}`);
  const knownTunnels = () =>
    controlPlane.store.routes
      .tunnels(clusterUuid)
      .map((each) => `${each.tunnel_id.replace(clusterUuid, 'UUID')} ${each.service_name}`);
  const until = async (what: () => readonly string[], expected: readonly string[]) => {
    const sorted = expected.toSorted();
    try {
      await controlPlane.waitFor(
        () => Bun.deepEquals(what().toSorted(), sorted) || undefined,
        KNOWN_TIMEOUT_MS,
      );
    } catch (cause) {
      throw new Error(`It knows ${JSON.stringify(what())}, not ${JSON.stringify(sorted)}`, {
        cause,
      });
    }
  };
  return {
    cluster,
    controlPlane,
    log,
    calls,
    registered,
    routes: () => agent.routes,
    restart: async () => {
      await agent.end();
      agent = await begin();
      registered();
    },
    knows: (routes) => until(known, routes),
    knowsTunnels: (tunnels) => until(knownTunnels, tunnels),
    [Symbol.asyncDispose]: async () => {
      await agent.end();
      await controlPlane[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

export function ingress(
  name: string,
  hosts: readonly string[],
  service = 'web',
  more: Record<string, unknown> = {},
): FakeObject {
  const backend = { service: { name: service, port: { number: 80 } } };
  return {
    metadata: {
      name,
      namespace: 'shop',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'pipeops.io/managed': 'true' },
      ...more,
    },
    spec: {
      rules: hosts.map((host) => ({
        host,
        http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
      })),
    },
  };
}

export function service(name: string): FakeObject {
  return {
    metadata: { name, namespace: 'shop' },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  };
}

export function gateway(name: string, ports: readonly number[]): FakeObject {
  return {
    metadata: { name, namespace: 'shop', labels: { 'pipeops.io/managed': 'true' } },
    spec: { listeners: ports.map((port) => ({ name: `l${port}`, port, protocol: 'TCP' })) },
  };
}

export function tcpRoute(name: string, gatewayName: string, serviceName: string): FakeObject {
  return {
    metadata: { name, namespace: 'shop' },
    spec: {
      parentRefs: [{ name: gatewayName }],
      rules: [{ backendRefs: [{ name: serviceName, port: 80 }] }],
    },
  };
}
