/** What the session is made of, from the configuration and the machine. */
import { type Config, durationMs } from '../config/schema.ts';
import { serviceTokens } from '../control-plane/credentials/service-token.ts';
import { restClient } from '../control-plane/rest/client.ts';
import { type RouteClient, routeClient } from '../control-plane/rest/route-client.ts';
import { sessionPace } from '../control-plane/session/pace.ts';
import type {
  CommandInbox,
  DataPlane,
  ProgressFeed,
  ResultOutbox,
  SessionMemory,
  Standing,
  StatusSource,
} from '../control-plane/session/ports.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import { controlPlaneSession } from '../control-plane/session.ts';
import type { RegistrationFacts } from '../control-plane/websocket/session-deps.ts';
import { AGENT_VERSION_LABEL, CLOUD_LABEL, INSTANCE_LABEL, REGION_LABEL } from '../core/labels.ts';
import type { Clock, Files, Http, Log, Network, Random, ThisMachine } from '../core/ports.ts';
import { credentialsOf, type ProxySettings } from '../core/proxy-settings.ts';
import { isPublicAddress } from '../core/public-address.ts';
import type { Service } from '../core/service.ts';
import { BUILD } from '../core/version.ts';
import type { Health } from '../health/tracker.ts';
import type { CloudFacts } from '../host/cloud/facts.ts';
import type { ClusterRoutes } from '../routes/cluster.ts';
import { announcing, type RouteSyncDeps, routeSync } from '../routes/sync.ts';
import type { Histograms } from '../telemetry/metrics/histograms.ts';
import { measuredNetwork, type WebSocketTraffic } from '../telemetry/websocket-traffic.ts';
import type { LiveCloud } from './cloud.ts';
import type { ControlPlaneAccess, LiveAccess } from './control-plane-access.ts';
import { tellableHealth } from './health-answers.ts';
import { ownAddress } from './own-address.ts';
import { renewedNetwork } from './renewed-network.ts';
import { unusableNetwork } from './unusable-network.ts';
import { whileWanted } from './while-wanted.ts';

const BYTES_PER_GB = 1024 ** 3;

export interface SessionParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly machine: ThisMachine;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly state: SessionState;
  readonly health: Pick<Health, 'last'>;
  readonly inbox: CommandInbox;
  readonly outbox: ResultOutbox;
  readonly progress: ProgressFeed;
  readonly status: { readonly source: StatusSource };
  /** Undefined: the session carries neither proxy nor tunnel. */
  readonly dataPlane: { readonly remote: DataPlane; readonly routes: ClusterRoutes } | undefined;
  readonly memory: SessionMemory;
  readonly access: LiveAccess;
  readonly cloud: LiveCloud;
  /** Exists while root removes the agent from this machine. */
  readonly leavingPath: string;
  /** Whether no other server is there to go on with the session. */
  readonly isAlone: () => boolean;
  readonly traffic: WebSocketTraffic;
  readonly histograms: Histograms;
  readonly network: (options: { ca: string | undefined; proxy: ProxySettings }) => Network;
}

/**
 * The session, and before it the services that tell the control plane about the cluster; none while
 * standalone.
 */
export function sessionServices(parts: SessionParts, config: Config, agentId: string): Service {
  const { clock, random, access } = parts;
  const { control_plane: settings } = config;
  const network = () => {
    const { ca, caProblem } = access.current();
    return caProblem === undefined
      ? measuredNetwork(
          parts,
          parts.network({ ca, proxy: proxySettings(parts, config, access.current()) }),
        )
      : unusableNetwork(`${caProblem} (control_plane.ca_file)`);
  };
  const token = async () => access.current().token;
  const pace = sessionPace(parts, {
    heartbeatIntervalMs: durationMs(settings.heartbeat_interval),
    statusIntervalMs: durationMs(settings.status_interval),
  });
  const rest = () => ({
    baseUrl: settings.url,
    version: BUILD.version,
    ca: access.current().ca,
  });
  const plane =
    parts.dataPlane &&
    tellingPlane({ ...parts, ...parts.dataPlane }, renewedNetwork(access, network), (http) =>
      routeClient({ clock, http, token }, rest()),
    );
  const session = controlPlaneSession(
    {
      ...parts,
      status: parts.status.source,
      token,
      dataPlane: plane?.dataPlane,
      pace,
      tokens: serviceTokens({ random }, parts.memory.read()?.serviceTokenHash),
      facts: () => registrationFacts(parts, config),
      isLeaving: async () => parts.isAlone() && (await isThere(parts.files, parts.leavingPath)),
      network,
      onNewAccess: (listener) =>
        access.onChange(() => {
          if (access.current().token !== undefined) {
            listener(); // Else the session ends, like every unwanted service.
          }
        }),
      restClient: ({ http }) => restClient({ clock, random, http, token }, rest()),
      standing: () => standing(parts),
      registration: async () => ({
        id: agentId,
        name: parts.machine.hostname(),
        cluster_name: config.cluster.name,
        version: BUILD.version,
        labels: labelsOf(parts.machine, config, await parts.cloud.read()),
        status: 'registering',
        last_seen: clock.now().toISOString(),
        control_plane_url: '',
      }),
      heartbeat: () => ({
        agent_id: agentId,
        cluster_name: config.cluster.name,
        status: 'connected',
        proxy_status: 'direct',
        timestamp: clock.now().toISOString(),
        metadata: { version: BUILD.version, ...tellableHealth(parts.health) },
      }),
    },
    {
      agentId,
      version: BUILD.version,
      apiUrl: settings.url,
      allowInsecure: settings.allow_insecure,
      gatewayHosts: settings.gateway_hosts,
      transport: settings.transport,
      pollIntervalMs: durationMs(settings.poll_interval),
    },
  );
  return whileWanted(parts, [...(plane?.services ?? []), session]);
}

/** A file that cannot be examined counts as absent. */
async function isThere(files: Files, path: string): Promise<boolean> {
  try {
    return (await files.stat(path)) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The data plane, and the service that tells of routes. The latter has its own connections, so that
 * it delays nothing else.
 */
function tellingPlane(
  deps: Omit<RouteSyncDeps, 'client' | 'cluster'> & NonNullable<SessionParts['dataPlane']>,
  network: Network,
  clientOver: (http: Http) => RouteClient,
): { readonly dataPlane: DataPlane; readonly services: readonly Service[] } {
  const sync = routeSync({ ...deps, cluster: deps.routes, client: clientOver(network.http) });
  return {
    dataPlane: announcing(deps.remote, sync),
    services: [deps.routes.service, closing(sync.service, network)],
  };
}

/** The network belongs to the service, and is closed when it ends. */
function closing(service: Service, network: Network): Service {
  return {
    name: service.name,
    start: async (signal) => {
      const { done } = await service.start(signal);
      return { done: done.finally(network.close) };
    },
  };
}

/**
 * The proxy credentials in the file beside the token win over the environment, which is the unit's.
 */
/** The way out of this machine. */
export function proxySettings(
  { env }: Pick<SessionParts, 'env'>,
  { control_plane: settings }: Config,
  { proxyCredentials }: Pick<ControlPlaneAccess, 'proxyCredentials'>,
): ProxySettings {
  return {
    url: settings.proxy ?? '',
    credentials: proxyCredentials || credentialsOf(env['HTTPS_PROXY'] ?? env['https_proxy'] ?? ''),
    noProxy: settings.no_proxy ?? '',
  };
}

function labelsOf(
  machine: ThisMachine,
  config: Config,
  { provider, region, instanceId }: CloudFacts,
): Record<string, string> {
  return {
    ...config.agent.labels,
    hostname: machine.hostname(),
    [AGENT_VERSION_LABEL]: BUILD.version,
    ...withoutUnknown({
      [CLOUD_LABEL]: provider,
      [REGION_LABEL]: region,
      [INSTANCE_LABEL]: instanceId,
    }),
  };
}

function withoutUnknown(
  texts: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const known = Object.entries(texts).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(known);
}

function standing({ machine, cloud, dataPlane, health }: SessionParts): Standing {
  const { publicAddress } = cloud.known();
  const routes = dataPlane?.routes;
  return {
    isPrivate: publicAddress === undefined && !machine.addresses().some(isPublicAddress),
    routes: (routes?.routes()?.hosts.size ?? 0) + (routes?.tunnels()?.size ?? 0),
    health: tellableHealth(health),
  };
}

async function registrationFacts(parts: SessionParts, config: Config): Promise<RegistrationFacts> {
  const { machine } = parts;
  const disk = await parts.files.diskSpace('/');
  const cloud = await parts.cloud.read();
  const { zone, instanceId, instanceType, publicAddress } = cloud;
  return {
    name: config.cluster.name,
    k8s_version: parts.status.source.summary().kubernetesVersion,
    hostname: machine.hostname(),
    server_ip: publicAddress ?? ownAddress(machine.addresses()),
    region: cloud.region ?? 'unknown-country',
    cloud_provider: cloud.provider ?? 'agent',
    tunnel_port_config: { kubernetes_api: 6443, kubelet: 10250, agent_http: config.http.port },
    labels: labelsOf(machine, config, cloud),
    server_specs: {
      cpu_cores: machine.processors(),
      memory_gb: Math.round(machine.memoryBytes() / BYTES_PER_GB),
      disk_gb: Math.round(disk.totalBytes / BYTES_PER_GB),
      os: 'linux',
    },
    metadata: withoutUnknown({
      zone,
      instance_id: instanceId,
      instance_type: instanceType,
      public_ip: publicAddress,
    }),
  };
}
