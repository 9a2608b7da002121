/** Every label and annotation that is written or read here, ours and those of others. */

const AGENT = 'pipeops-agent';

// On objects that the agent makes.
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
/** On all that is set up for the agent, and on all that it deploys. */
export const MANAGED_BY: Readonly<Record<string, string>> = { [MANAGED_BY_LABEL]: AGENT };
/** Which server keeps it as root's manifests have it. */
export const KEPT_BY_ANNOTATION = 'pipeops.io/kept-by';
/** Which command changed it last: a repeated run is recognised by it. */
export const COMMAND_ID_ANNOTATION = 'pipeops.io/command-id';
/** On a Node: the id of the token that it joined with. Its own machine writes it. */
export const JOIN_TOKEN_ANNOTATION = 'pipeops.io/join-token';
/** On the Secret of a join token that was made here, and on what limits it: its id. */
export const JOIN_TOKEN_LABEL = 'pipeops.io/join-token';
/** On a Node: when its machine left; nothing runs there any more. Its own machine writes it. */
export const LEFT_ANNOTATION = 'pipeops.io/left';
/** On a pod of `doctor --canary`: which run made it. */
export const CANARY_LABEL = 'pipeops.io/canary';
/** On a Node: which k3s the administrator wants there (protocol/node-k3s.ts). */
export const K3S_WANTED_ANNOTATION = 'pipeops.io/k3s-wanted';
/** On a Node: what became of that. Its own machine writes it. */
export const K3S_STATE_ANNOTATION = 'pipeops.io/k3s-upgrade';
/** On a Node: flannel gives its pods their addresses (k3s, "pkg/agent/flannel"). */
export const FLANNEL_ANNOTATION = 'flannel.alpha.coreos.com/backend-type';
/** On a Secret of the memory that the agents of a cluster share: what is in it. */
export const MEMORY_LABEL = 'pipeops.io/memory';
/** Sent at registration. */
export const AGENT_VERSION_LABEL = 'agent.pipeops.io/version';

/** Sent at registration where they are known. */
export const CLOUD_LABEL = 'agent.pipeops.io/cloud';
export const REGION_LABEL = 'agent.pipeops.io/region';
export const INSTANCE_LABEL = 'agent.pipeops.io/instance-id';

// With these, people and the control plane say what is a route.
export const PIPEOPS_PREFIX = 'pipeops.io/';
/** On an Ingress, HTTPRoute or Gateway that the control plane may hear of. */
export const ROUTED_LABEL = 'pipeops.io/managed';
export const ROUTED = { [ROUTED_LABEL]: 'true' } as const;
export const ROUTED_BY_ANNOTATION = 'pipeops.io/managed-by';
/** Anyone who may write a Service opens it to the control plane with this label. */
export const REACHABLE_LABEL = 'pipeops.io/reachable';
export const ENVIRONMENT_LABEL = 'pipeops.io/environment';
export const OWNER_LABEL = 'pipeops.io/owner';
export const DEPLOYMENT_ID_LABEL = 'pipeops.io/deployment-id';
export const DEPLOYMENT_NAME_LABEL = 'pipeops.io/deployment-name';
export const ROUTING_MODE_ANNOTATION = 'pipeops.io/routing-mode';

// Of Kubernetes and its tools (kubernetes.io, "Well-Known Labels, Annotations and Taints").
export const APPLICATION_NAME_LABEL = 'app.kubernetes.io/name';
export const CONTROL_PLANE_LABEL = 'node-role.kubernetes.io/control-plane';
/** Not a label but a taint: the controllers put it on a cordoned node (kubernetes.io, "Taint Nodes by Condition"). */
export const CORDONED_TAINT = 'node.kubernetes.io/unschedulable';
// Of k3s, on the Node of a server with etcd (k3s, "pkg/etcd/member_controller.go").
/** Set to `true`: k3s takes the member of this server out of etcd … */
export const ETCD_REMOVE_ANNOTATION = 'etcd.k3s.cattle.io/remove';
/** … and then notes here which one it was … */
export const ETCD_REMOVED_ANNOTATION = 'etcd.k3s.cattle.io/removed-node-name';
/** … in the place of this, the name of the member that it has. */
export const ETCD_MEMBER_ANNOTATION = 'etcd.k3s.cattle.io/node-name';
/** On an EndpointSlice. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
export const POD_SECURITY_PREFIX = 'pod-security.kubernetes.io/';
export const APPARMOR_PREFIX = 'container.apparmor.security.beta.kubernetes.io/';
/** What the controller of Deployments keeps for itself. */
export const DEPLOYMENT_PREFIX = 'deployment.kubernetes.io/';
export const REVISION_ANNOTATION = 'deployment.kubernetes.io/revision';
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
/** kubectl's own annotation for the container that is meant when none is named. */
export const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';
/** The only labels of Kubernetes' own that a kubelet may give its node … */
export const KUBELET_LABELS: readonly string[] = [
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
];
/** … and the domains in which it may choose. */
export const KUBELET_NAMESPACES: readonly string[] = [
  'kubelet.kubernetes.io',
  'node.kubernetes.io',
];

// Types of Secrets, which are named alike.
/** Of the memory that the agents of a cluster share. */
export const MEMORY_SECRET = 'pipeops.io/memory';
export const ACCOUNT_TOKEN_SECRET = 'kubernetes.io/service-account-token';
/** What holders of a join token of k3s are for Kubernetes (k3s, "pkg/cli/token"). */
export const JOINING_GROUP = 'system:bootstrappers:k3s:default-node-token';
export const BOOTSTRAP_TOKEN_SECRET = 'bootstrap.kubernetes.io/token';
