import { basename, dirname, join, relative } from 'node:path';
import {
  CONTROL_PLANE_TOKEN_FILE,
  JOINED_SERVER_FILE,
  KUBECONFIG_FILE,
  LEAVING_FILE,
  LOCAL_TOKEN_FILE,
  OWN_RUNTIME_DIRECTORY,
  POLICY_FILE,
  PROXY_CREDENTIALS_FILE,
  SOCKET_LINK,
  STATE_DIRECTORY,
  WAS_READY_FILE,
} from '../core/places.ts';

/** Where the daemon's files are. */
export interface DaemonPaths {
  readonly database: string;
  /** The daemon's secrets, in files. */
  readonly credentials: string;
  readonly controlPlaneToken: string;
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
  readonly policy: string;
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
): DaemonPaths {
  const state = env['STATE_DIRECTORY'] ?? STATE_DIRECTORY;
  const runtime = env['RUNTIME_DIRECTORY'] ?? OWN_RUNTIME_DIRECTORY;
  const hasRootsToken = runtime === OWN_RUNTIME_DIRECTORY;
  const ofState = (place: string) => join(state, relative(STATE_DIRECTORY, place));
  const besideConfig = (place: string) => join(dirname(configPath), basename(place));
  return {
    database: join(state, 'agent.db'),
    credentials: join(state, 'credentials'),
    controlPlaneToken: ofState(CONTROL_PLANE_TOKEN_FILE),
    proxyCredentials: ofState(PROXY_CREDENTIALS_FILE),
    renewedKubernetesToken: join(state, 'credentials/kubernetes-token'),
    kubeconfig: besideConfig(KUBECONFIG_FILE),
    policy: besideConfig(POLICY_FILE),
    joinedServer: besideConfig(JOINED_SERVER_FILE),
    leaving: besideConfig(LEAVING_FILE),
    socket: join(runtime, basename(SOCKET_LINK)),
    localToken: hasRootsToken ? LOCAL_TOKEN_FILE : join(runtime, basename(LOCAL_TOKEN_FILE)),
    hasRootsToken,
    wasReady: ofState(WAS_READY_FILE),
    localCertificate: join(state, 'credentials/local-tls.pem'),
  };
}
