import { dirname, join } from 'node:path';

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
  /** Root makes it; else, where no unit runs the daemon, the daemon itself. */
  readonly hasRootsToken: boolean;
  readonly localCertificate: string;
  readonly policy: string;
  /** On a worker: which server it joined. */
  readonly joinedServer: string;
  /** There while root removes the agent from this machine. */
  readonly leaving: string;
}

const STATE_DIRECTORY = '/var/lib/pipeops-agent';
/** Root's, with the local token; beside that the daemon has a directory of its own. */
const RUNTIME_DIRECTORY = '/run/pipeops-agent';
const OWN_RUNTIME_DIRECTORY = `${RUNTIME_DIRECTORY}/daemon`;

/**
 * systemd names the directories that it made for the unit in the environment (systemd.exec(5),
 * StateDirectory=, RuntimeDirectory=). What root gives stands beside the configuration.
 */
export function daemonPaths(
  env: Readonly<Record<string, string | undefined>>,
  configPath: string,
): DaemonPaths {
  const state = env['STATE_DIRECTORY'] ?? STATE_DIRECTORY;
  const runtime = env['RUNTIME_DIRECTORY'] ?? OWN_RUNTIME_DIRECTORY;
  const hasRootsToken = runtime === OWN_RUNTIME_DIRECTORY;
  return {
    database: join(state, 'agent.db'),
    credentials: join(state, 'credentials'),
    controlPlaneToken: join(state, 'credentials/control-plane-token'),
    proxyCredentials: join(state, 'credentials/proxy'),
    renewedKubernetesToken: join(state, 'credentials/kubernetes-token'),
    kubeconfig: join(dirname(configPath), 'kubeconfig'),
    policy: join(dirname(configPath), 'policy.yaml'),
    joinedServer: join(dirname(configPath), 'server.json'),
    leaving: join(dirname(configPath), 'leaving'),
    socket: join(runtime, 'agent.sock'),
    localToken: join(hasRootsToken ? RUNTIME_DIRECTORY : runtime, 'local-token'),
    hasRootsToken,
    localCertificate: join(state, 'credentials/local-tls.pem'),
  };
}
