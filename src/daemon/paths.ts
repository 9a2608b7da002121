import { basename, dirname, join, relative } from 'node:path';
import type { Places } from '../core/places.ts';

/** Where the daemon's files are. */
export interface DaemonPaths {
  readonly database: string;
  /** The daemon's secrets, in files. */
  readonly credentials: string;
  readonly controlPlaneToken: string;
  readonly tokenTrial: string;
  /** `user:password` for the proxy to the control plane. */
  readonly proxyCredentials: string;
  readonly renewedKubernetesToken: string;
  readonly kubeconfig: string;
  readonly socket: string;
  /** For the doors on loopback; root and the group may read it. */
  readonly localToken: string;
  /**
   * Whether root makes the local token; where no unit runs the daemon, the daemon itself makes it.
   */
  readonly hasRootsToken: boolean;
  readonly localCertificate: string;
  /** Certificate and key of the door for scrapers. */
  readonly metricsCertificate: string;
  /** For scrapers; stays the same over restarts. */
  readonly metricsToken: string;
  readonly policy: string;
  /** Manifests of root. */
  readonly desired: string;
  readonly keptObjects: string;
  /** On a worker: which server it joined. */
  readonly joinedServer: string;
  /** Exists while root removes the agent from this machine. */
  readonly leaving: string;
  /** There once this was ready: an installation that is used is not taken back. */
  readonly wasReady: string;
}

/**
 * systemd passes the directories that it made for the unit in the environment (systemd.exec(5),
 * StateDirectory=, RuntimeDirectory=). Files given by root are beside the configuration.
 */
export function daemonPaths(
  env: Readonly<Record<string, string | undefined>>,
  configPath: string,
  places: Places,
): DaemonPaths {
  const state = env['STATE_DIRECTORY'] ?? places.stateDirectory;
  const runtime = env['RUNTIME_DIRECTORY'] ?? places.ownRuntimeDirectory;
  const hasRootsToken = runtime === places.ownRuntimeDirectory;
  const ofState = (place: string) => join(state, relative(places.stateDirectory, place));
  const besideConfig = (place: string) => join(dirname(configPath), basename(place));
  return {
    database: join(state, 'agent.db'),
    credentials: join(state, 'credentials'),
    controlPlaneToken: ofState(places.controlPlaneTokenFile),
    tokenTrial: ofState(places.tokenTrialFile),
    proxyCredentials: ofState(places.proxyCredentialsFile),
    renewedKubernetesToken: join(state, 'credentials/kubernetes-token'),
    kubeconfig: besideConfig(places.kubeconfigFile),
    policy: besideConfig(places.policyFile),
    desired: besideConfig(places.desiredDirectory),
    keptObjects: ofState(places.keptObjectsFile),
    joinedServer: besideConfig(places.joinedServerFile),
    leaving: besideConfig(places.leavingFile),
    socket: join(runtime, basename(places.socketLink)),
    localToken: hasRootsToken
      ? places.localTokenFile
      : join(runtime, basename(places.localTokenFile)),
    hasRootsToken,
    wasReady: ofState(places.wasReadyFile),
    localCertificate: join(state, 'credentials/local-tls.pem'),
    metricsCertificate: join(state, 'credentials/metrics-tls.pem'),
    metricsToken: join(state, 'credentials/metrics-token'),
  };
}
