/** Every place on the machine that the product owns (docs/ARCHITECTURE.md, "Names"). */
export const AGENT_USER = 'pipeops-agent';
export const UNIT_NAME = 'pipeops-agent.service';

export const VERSIONS_DIRECTORY = '/opt/pipeops-agent';
export const EXECUTABLE_LINK = '/usr/local/bin/pipeops-agent';
export const CONFIG_DIRECTORY = '/etc/pipeops-agent';
export const CONFIG_FILE = `${CONFIG_DIRECTORY}/config.yaml`;
/** The local policy: root's, read by the daemon. */
export const POLICY_FILE = `${CONFIG_DIRECTORY}/policy.yaml`;
export const CONTROL_PLANE_CA_FILE = `${CONFIG_DIRECTORY}/control-plane-ca.pem`;
/** For the daemon alone. */
export const KUBECONFIG_FILE = `${CONFIG_DIRECTORY}/kubeconfig`;
/** On a worker: which server it joined (protocol/files/joined-server.ts). */
export const JOINED_SERVER_FILE = `${CONFIG_DIRECTORY}/server.json`;
/**
 * Exists while the daemon is being stopped for good, so that its session tells the control plane.
 */
export const LEAVING_FILE = `${CONFIG_DIRECTORY}/leaving`;
export const UNIT_FILE = `/etc/systemd/system/${UNIT_NAME}`;
/** The daemon's. Root never opens, trusts or deletes by a file in it. */
export const STATE_DIRECTORY = '/var/lib/pipeops-agent';
/** There once the daemon was ready. Root only looks whether it is there, and is the more careful then. */
export const WAS_READY_FILE = `${STATE_DIRECTORY}/was-ready`;
export const CONTROL_PLANE_TOKEN_FILE = `${STATE_DIRECTORY}/credentials/control-plane-token`;
export const PROXY_CREDENTIALS_FILE = `${STATE_DIRECTORY}/credentials/proxy`;
/** Root's own. */
export const HOST_STATE_DIRECTORY = '/var/lib/pipeops-agent-host';
export const INVENTORY_FILE = `${HOST_STATE_DIRECTORY}/inventory.json`;
export const STEPS_FILE = `${HOST_STATE_DIRECTORY}/steps.json`;
/** What an installation has changed, as it was before: see host/engine/originals.ts. */
export const ORIGINALS_FILE = `${HOST_STATE_DIRECTORY}/originals.json`;
export const K3S_TOKEN_FILE = `${HOST_STATE_DIRECTORY}/k3s-join-token`;
/** What the running daemon was started with: see host/agent/service.ts. */
export const APPLIED_FILE = `${HOST_STATE_DIRECTORY}/applied`;
/** Exists while k3s runs with an older configuration or token than the files have. */
export const K3S_RESTART_FILE = `${HOST_STATE_DIRECTORY}/k3s-restart-needed`;
/** Holds the path of the version before the installed one. */
export const PREVIOUS_EXECUTABLE_FILE = `${HOST_STATE_DIRECTORY}/previous-executable`;
/** Holds the path of the linked version, as long as it has not been seen to start. */
export const UNPROVEN_EXECUTABLE_FILE = `${HOST_STATE_DIRECTORY}/unproven-executable`;
/**
 * Root's directory, made at each start of the daemon: see host/agent/runtime-directory.ts. In it
 * systemd makes `daemon`, the daemon's own directory.
 */
export const RUNTIME_DIRECTORY = '/run/pipeops-agent';
/** The token for the doors on loopback; root and the group can read it. */
export const LOCAL_TOKEN_FILE = `${RUNTIME_DIRECTORY}/local-token`;
export const SOCKET_LINK = `${RUNTIME_DIRECTORY}/agent.sock`;
/**
 * The daemon's own directory inside `RUNTIME_DIRECTORY`. The unit names it, and systemd passes its
 * path to the daemon.
 */
export const OWN_RUNTIME_DIRECTORY = `${RUNTIME_DIRECTORY}/daemon`;
export const DAEMON_SOCKET_TARGET = 'daemon/agent.sock';
export const LOCK_FILE = '/run/pipeops-agent.lock';

export const K3S_EXECUTABLE = '/usr/local/bin/k3s';
/** k3s' own uninstaller takes it away, with whatever stands in it. */
export const K3S_DATA_DIRECTORY = '/var/lib/rancher/k3s';
export const K3S_DIRECTORY = '/etc/rancher/k3s';
export const K3S_CONFIG_FILE = `${K3S_DIRECTORY}/config.yaml.d/50-pipeops.yaml`;
export const K3S_ADMIN_KUBECONFIG_FILE = `${K3S_DIRECTORY}/k3s.yaml`;
/** The password by which the cluster recognises this machine; k3s makes it at its first start. */
export const NODE_PASSWORD_FILE = '/etc/rancher/node/password';
/** The CA of the cluster that a worker belongs to. */
export const K3S_AGENT_CA_FILE = '/var/lib/rancher/k3s/agent/server-ca.crt';
/** Exists once the cluster has accepted this worker by its node password. */
export const K3S_KUBELET_CERTIFICATE_FILE = '/var/lib/rancher/k3s/agent/client-kubelet.crt';
export const K3S_SERVER_CA_FILE = '/var/lib/rancher/k3s/server/tls/server-ca.crt';

export type K3sRole = 'server' | 'agent';

export const K3S_UNITS: Readonly<Record<K3sRole, string>> = {
  server: 'k3s.service',
  agent: 'k3s-agent.service',
};
