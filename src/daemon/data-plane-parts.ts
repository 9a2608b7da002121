/** The ways to the cluster through the agent: the doors on this machine, and the session. */
import type { Config } from '../config/schema.ts';
import type { DataPlane } from '../control-plane/session/ports.ts';
import type {
  Clock,
  Files,
  KeptSockets,
  Log,
  Random,
  RunSoon,
  ThisMachine,
} from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Traces } from '../core/traces.ts';
import { upstreamPool } from '../http1/client/pool.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { KubernetesCredentials } from '../kubernetes/api/credentials.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { Policy, ReachPolicy } from '../policy/decision.ts';
import { forward } from '../proxy/forward.ts';
import { kubernetesDestination } from '../proxy/kubernetes-destination.ts';
import { fairTurns, type Turns } from '../proxy/turns.ts';
import { proxyBridge } from '../remote-proxy/bridge.ts';
import { type ClusterRoutes, clusterRoutes } from '../routes/cluster.ts';
import { serviceLocator } from '../routes/service-locator.ts';
import { routeRows, tunnelRows } from '../routes/told-rows.ts';
import type { RouteSource } from '../server/api/sources.ts';
import type { LocalAuth } from '../server/local-auth.ts';
import { localCertificate } from '../server/local-certificate.ts';
import type { ServerSources } from '../server/sources.ts';
import { tlsListener } from '../server/tls-listener.ts';
import type { Histograms } from '../telemetry/metrics/histograms.ts';
import { proxyDurations } from '../telemetry/proxy-durations.ts';
import { tracedRequests } from '../telemetry/traces/proxied-requests.ts';
import { type TunnelCounters, tunnelCounters } from '../tunnel/counters.ts';
import { tunnelDataPlane } from '../tunnel/data-plane.ts';
import { type OpenStreams, streamRow } from '../tunnel/open-streams.ts';
import { serviceApplications, serviceTargets } from '../tunnel/service-targets.ts';
import { sessionDataPlane } from '../tunnel/session-data-plane.ts';
import type { LastDay } from './last-day.ts';
import type { DaemonPaths } from './paths.ts';

const PERCENT = 100;

interface DataPlaneDeps {
  readonly clock: Clock;
  readonly machine: Pick<ThisMachine, 'addresses'>;
  readonly random: Random;
  readonly runSoon: RunSoon;
  readonly files: Files;
  readonly log: Log;
  readonly kept: KeptSockets;
  readonly kubernetes: KubernetesClient;
  readonly follow: FollowKind;
  readonly credentials: KubernetesCredentials;
  readonly policy: Policy & ReachPolicy;
  readonly auth: LocalAuth;
  readonly histograms: Histograms;
  readonly day: Pick<LastDay, 'measured'>;
  /** Undefined where no traces are made. */
  readonly tracing: { readonly traces: Traces } | undefined;
}

export interface DataPlaneParts {
  /** For the plain HTTP doors. */
  readonly local: Required<Pick<ServerSources, 'proxy' | 'access'>>;
  /** The TLS door. */
  readonly listener: Service;
  /** For the session. */
  readonly remote: DataPlane;
  readonly routes: ClusterRoutes;
  readonly turns: Turns;
  readonly tunnels: TunnelCounters;
  /** For the local API. */
  readonly ways: RouteSource;
  /** How often routes or tunnels may have changed. */
  readonly lookCounts: () => Readonly<Record<'routes' | 'tunnels', number>>;
}

/** All ways share one pool, one policy and the same turns. */
export async function dataPlaneParts(
  deps: DataPlaneDeps,
  config: Config,
  paths: DaemonPaths,
): Promise<DataPlaneParts> {
  const destination = kubernetesDestination(deps);
  const gate = fairTurns(deps);
  const proxy = {
    pool: upstreamPool(deps),
    turns: gate,
    measure: proxyDurations(deps),
    trace:
      deps.tracing &&
      tracedRequests({ ...deps, ...deps.tracing }, config.traces.request_percent / PERCENT),
  };
  const certificate = await localCertificate(deps, paths.localCertificate);
  const local = { ...proxy, destination };
  const listener = tlsListener(
    { ...deps, proxy: local },
    { port: config.http.tls_port, certificate },
  );
  const routes = clusterRoutes({ ...deps, client: deps.kubernetes });
  const locator = serviceLocator({
    ...deps,
    isRouted: routes.isRouted,
    apiServer: async () => {
      const { address } = await destination.locate();
      return { host: address.hostname, port: address.port };
    },
  });
  const tunnels = tunnelCounters();
  const open: OpenStreams = new Set();
  let looks = 0;
  routes.onLook(() => {
    looks += 1;
  });
  return {
    lookCounts: () => ({ routes: looks, tunnels: looks }),
    ways: {
      routes: () => routeRows(routes),
      tunnels: () => tunnelRows(routes),
      streams: () => ({
        ...{ active: tunnels.active, accepted: tunnels.accepted, refused: tunnels.refused },
        failed: tunnels.dialErrors + tunnels.copyErrors,
        ...{ bytes_in: tunnels.bytesIn, bytes_out: tunnels.bytesOut },
      }),
      openStreams: () => Array.from(open, streamRow),
    },
    turns: gate,
    tunnels,
    routes,
    listener,
    local: {
      access: () => ({
        server: `https://127.0.0.1:${listener.port()}/proxy`,
        certificate: certificate.certificate,
        token_file: paths.localToken,
      }),
      proxy: { forward: (request, sink) => forward(local, request, sink) },
    },
    remote: sessionDataPlane({
      proxy: proxyBridge({
        ...deps,
        proxy,
        destinations: {
          kubernetes: destination,
          applications: serviceApplications(locator, routes.application),
        },
      }),
      tunnel: tunnelDataPlane({
        ...{ ...deps, open, counters: tunnels },
        targets: serviceTargets(locator),
      }),
    }),
  };
}
