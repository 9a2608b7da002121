/** Where k3s has its files. k3s and its installer choose these places, so they do not depend on `Places`. */

export const K3S_ROLES = ['server', 'agent'] as const;
export type K3sRole = (typeof K3S_ROLES)[number];

export const K3S_UNITS: Readonly<Record<K3sRole, string>> = {
  server: 'k3s.service',
  agent: 'k3s-agent.service',
};
/** Where its installer puts the unit. */
export const K3S_UNIT_DIRECTORY = '/etc/systemd/system';
/** Files from which the unit reads its environment, beside the one that the installer writes. */
export const K3S_ENVIRONMENT_FILES: Readonly<Record<K3sRole, readonly string[]>> = {
  server: ['/etc/default/k3s', '/etc/sysconfig/k3s'],
  agent: ['/etc/default/k3s-agent', '/etc/sysconfig/k3s-agent'],
};

/** Where its installer puts programs and scripts. */
export const K3S_PROGRAM_DIRECTORY = '/usr/local/bin';
export const K3S_EXECUTABLE = `${K3S_PROGRAM_DIRECTORY}/k3s`;
/** Ours, while k3s is upgraded: the new program, before it takes the place of the present one. */
export const K3S_NEXT_FILE = `${K3S_EXECUTABLE}.next`;
/** Ours, after an upgrade: the program of before. */
export const K3S_PREVIOUS_FILE = `${K3S_EXECUTABLE}.previous`;
/** Links to the program. The installer makes those for which there is no program of that name. */
export const K3S_TOOLS: readonly string[] = ['kubectl', 'crictl', 'ctr'].map(
  (tool) => `${K3S_PROGRAM_DIRECTORY}/${tool}`,
);
export const K3S_KILLALL = `${K3S_PROGRAM_DIRECTORY}/k3s-killall.sh`;
export const K3S_UNINSTALLERS: Readonly<Record<K3sRole, string>> = {
  server: `${K3S_PROGRAM_DIRECTORY}/k3s-uninstall.sh`,
  agent: `${K3S_PROGRAM_DIRECTORY}/k3s-agent-uninstall.sh`,
};

/** Shared by all programs of Rancher. */
export const RANCHER_DATA_DIRECTORY = '/var/lib/rancher';
/** k3s' own; what is removed with it: src/host/k3s/cleaning.ts. */
export const K3S_DATA_DIRECTORY = `${RANCHER_DATA_DIRECTORY}/k3s`;
/** Where its storage class keeps the data of volumes, if it is not told otherwise. */
export const K3S_VOLUMES_DIRECTORY = `${K3S_DATA_DIRECTORY}/storage`;
/** Tools that k3s brings for machines without: iptables above all. */
export const K3S_BUNDLED_TOOLS_DIRECTORY = `${K3S_DATA_DIRECTORY}/data/current/bin/aux`;
export const K3S_SERVER_CA_FILE = `${K3S_DATA_DIRECTORY}/server/tls/server-ca.crt`;
export const K3S_AGENT_DIRECTORY = `${K3S_DATA_DIRECTORY}/agent`;
/** Archives of images in there are imported at its start (docs.k3s.io, "Air-Gap Install"). */
export const K3S_IMAGES_DIRECTORY = `${K3S_AGENT_DIRECTORY}/images`;
/** The CA of the cluster that a worker belongs to. */
export const K3S_AGENT_CA_FILE = `${K3S_DATA_DIRECTORY}/agent/server-ca.crt`;
/** Exists once the cluster has accepted this worker by its node password. */
export const K3S_KUBELET_CERTIFICATE_FILE = `${K3S_DATA_DIRECTORY}/agent/client-kubelet.crt`;
export const K3S_KUBELET_KEY_FILE = `${K3S_DATA_DIRECTORY}/agent/client-kubelet.key`;
/** What the kubelet of a worker asks the cluster with: it may change little but its own Node. */
export const K3S_KUBELET_KUBECONFIG_FILE = `${K3S_DATA_DIRECTORY}/agent/kubelet.kubeconfig`;
/** On a worker: the servers that k3s' own balancer knows. */
export const K3S_BALANCER_FILE = `${K3S_AGENT_DIRECTORY}/etc/k3s-agent-load-balancer.json`;
/** On a server: by what the administrator of the cluster is known. */
export const K3S_ADMIN_CERTIFICATE_FILE = `${K3S_DATA_DIRECTORY}/server/tls/client-admin.crt`;
export const K3S_ADMIN_KEY_FILE = `${K3S_DATA_DIRECTORY}/server/tls/client-admin.key`;
/** Ours, until the machine restarts: systemd does not start k3s again when it ends. */
export const K3S_NO_RESTART_FILE = '/run/systemd/system/k3s.service.d/90-pipeops-leave.conf';
/** What it deploys by itself; a person's manifests may be there, too. */
export const K3S_MANIFESTS_DIRECTORY = `${K3S_DATA_DIRECTORY}/server/manifests`;
/** By which a machine becomes a server: it is worth the whole cluster, and has no end. */
export const K3S_SERVER_TOKEN_FILE = `${K3S_DATA_DIRECTORY}/server/token`;
export const K3S_ETCD_DIRECTORY = `${K3S_DATA_DIRECTORY}/server/db/etcd`;
/** With a server of its own k3s keeps the data in SQLite; beside it stand `-wal` and `-shm`. */
export const K3S_SQLITE_FILE = `${K3S_DATA_DIRECTORY}/server/db/state.db`;
/** What etcd's clients on a server show. */
export const K3S_ETCD_TLS = {
  ca: `${K3S_DATA_DIRECTORY}/server/tls/etcd/server-ca.crt`,
  certificate: `${K3S_DATA_DIRECTORY}/server/tls/etcd/client.crt`,
  key: `${K3S_DATA_DIRECTORY}/server/tls/etcd/client.key`,
} as const;
export const K3S_NODE_TOKEN_FILE = `${K3S_DATA_DIRECTORY}/server/node-token`;

/** Volumes of pods are mounted below it, whichever distribution of Kubernetes runs. */
export const KUBELET_DATA_DIRECTORY = '/var/lib/kubelet';

/** Shared by all programs of Rancher. */
export const RANCHER_CONFIG_DIRECTORY = '/etc/rancher';
/** The password by which the cluster recognises this machine; k3s makes it at its first start. */
export const NODE_PASSWORD_FILE = `${RANCHER_CONFIG_DIRECTORY}/node/password`;
export const K3S_DIRECTORY = `${RANCHER_CONFIG_DIRECTORY}/k3s`;
/** Where an older version has put the one above while k3s' own uninstaller ran, which removes it. */
export const K3S_DIRECTORY_ASIDE = `${K3S_DIRECTORY}.kept-by-pipeops-agent`;
export const K3S_MAIN_CONFIG_FILE = `${K3S_DIRECTORY}/config.yaml`;
export const K3S_DROP_IN_DIRECTORY = `${K3S_DIRECTORY}/config.yaml.d`;
/** Our settings for k3s. */
export const K3S_CONFIG_FILE = `${K3S_DROP_IN_DIRECTORY}/50-pipeops.yaml`;
/** Mirrors of registries, logins and trust (docs.k3s.io, "Private Registry Configuration"). */
export const K3S_REGISTRIES_FILE = `${K3S_DIRECTORY}/registries.yaml`;
/** Ours: the private authority of registries. */
export const K3S_REGISTRY_CA_FILE = `${K3S_DIRECTORY}/pipeops-registry-ca.pem`;
export const K3S_ADMIN_KUBECONFIG_FILE = `${K3S_DIRECTORY}/k3s.yaml`;

export function k3sUnitFile(role: K3sRole): string {
  return `${K3S_UNIT_DIRECTORY}/${K3S_UNITS[role]}`;
}
