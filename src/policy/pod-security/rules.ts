import { APPARMOR_PREFIX } from '../../core/labels.ts';
/**
 * What a pod may not ask for, as Kubernetes' Pod Security Standards have it (kubernetes.io, "Pod
 * Security Standards", as of Kubernetes 1.34). One table for both walls: `problem.ts` asks it of
 * manifests, `cel.ts` makes Kubernetes' own check of it, so neither lets through what the other stops.
 */

export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

type Value = string | number | boolean;

/** Fields of a pod's spec or of each of its containers, `[]` behind a list: `ports[].hostPort`. */
interface Place {
  readonly at: 'pod' | 'container';
  readonly paths: readonly string[];
}

export type PodRule = {
  /** What is not allowed, as the end of a sentence. */
  readonly problem: string;
} & (
  | ({ readonly kind: 'only'; readonly values: readonly Value[] } & Place)
  | ({ readonly kind: 'never'; readonly values: readonly Value[] } & Place)
  /** Must be set: in the container or, when the container says nothing, in the pod. */
  | {
      readonly kind: 'must';
      readonly path: string;
      readonly values: readonly Value[];
      readonly inherited: boolean;
      /** Windows has no such thing. */
      readonly onWindows: boolean;
    }
  /** This list of each container has this value. */
  | { readonly kind: 'contains'; readonly path: string; readonly value: string }
  /** Volumes have no other fields than these: each kind of volume is one. */
  | { readonly kind: 'volumes'; readonly fields: readonly string[] }
  /**
   * Annotations of the pod with this prefix have one of these values, or one that begins with
   * `valuePrefix`.
   */
  | {
      readonly kind: 'annotations';
      readonly prefix: string;
      readonly values: readonly string[];
      readonly valuePrefix: string;
    }
);

const ABSENT: readonly Value[] = [];
const CONFINED: readonly Value[] = ['RuntimeDefault', 'Localhost'];

function everywhere(
  problem: string,
  paths: readonly string[],
  values: readonly Value[],
): readonly PodRule[] {
  return (['pod', 'container'] as const).map((at) => ({
    kind: 'only',
    at,
    paths,
    values,
    problem,
  }));
}

const HANDLERS = [
  ...['livenessProbe', 'readinessProbe', 'startupProbe'],
  ...['lifecycle.postStart', 'lifecycle.preStop'],
];

const BASELINE: readonly PodRule[] = [
  {
    kind: 'only',
    at: 'pod',
    values: [false],
    paths: ['hostNetwork', 'hostPID', 'hostIPC'],
    problem: 'hostNetwork, hostPID or hostIPC in a pod',
  },
  {
    kind: 'only',
    at: 'pod',
    paths: ['volumes[].hostPath'],
    values: ABSENT,
    problem: 'a hostPath volume',
  },
  {
    // Beyond the standard: both run programs on the node, as root.
    kind: 'only',
    at: 'pod',
    values: ABSENT,
    paths: ['volumes[].gitRepo', 'volumes[].flexVolume'],
    problem: 'a gitRepo or flexVolume volume',
  },
  {
    kind: 'only',
    at: 'container',
    paths: ['securityContext.privileged'],
    values: [false],
    problem: 'privileged containers',
  },
  {
    kind: 'only',
    at: 'container',
    paths: ['securityContext.capabilities.add[]'],
    values: [
      ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD'],
      ...['NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
    ],
    problem: 'capabilities beyond the usual ones',
  },
  {
    kind: 'only',
    at: 'container',
    paths: ['ports[].hostPort'],
    values: [0],
    problem: 'hostPort',
  },
  {
    kind: 'only',
    at: 'container',
    paths: ['securityContext.procMount'],
    values: ['Default'],
    problem: 'a procMount other than Default',
  },
  ...everywhere(
    'pods or containers without seccomp',
    ['securityContext.seccompProfile.type'],
    CONFINED,
  ),
  ...everywhere(
    'pods or containers without AppArmor',
    ['securityContext.appArmorProfile.type'],
    CONFINED,
  ),
  {
    kind: 'annotations',
    prefix: APPARMOR_PREFIX,
    values: ['', 'runtime/default'],
    valuePrefix: 'localhost/',
    problem: 'pods or containers without AppArmor',
  },
  ...everywhere(
    'a type of SELinux beyond the usual ones',
    ['securityContext.seLinuxOptions.type'],
    ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'],
  ),
  ...everywhere(
    'a user or role of SELinux',
    ['securityContext.seLinuxOptions.user', 'securityContext.seLinuxOptions.role'],
    [''],
  ),
  ...everywhere('hostProcess', ['securityContext.windowsOptions.hostProcess'], [false]),
  {
    kind: 'only',
    at: 'pod',
    paths: ['securityContext.sysctls[].name'],
    values: [
      'kernel.shm_rmid_forced',
      ...['ip_local_port_range', 'tcp_syncookies', 'ping_group_range', 'ip_unprivileged_port_start']
        .concat(['ip_local_reserved_ports', 'tcp_keepalive_time', 'tcp_fin_timeout'])
        .concat(['tcp_keepalive_intvl', 'tcp_keepalive_probes', 'tcp_rmem', 'tcp_wmem'])
        .map((name) => `net.ipv4.${name}`),
    ],
    problem: 'sysctls beyond the safe ones',
  },
  {
    kind: 'only',
    at: 'container',
    values: [''],
    paths: HANDLERS.flatMap((handler) => [`${handler}.httpGet.host`, `${handler}.tcpSocket.host`]),
    problem: 'probes and lifecycle hooks with a host of their own',
  },
];

/** What `restricted` asks for beyond `baseline`. */
const RESTRICTED: readonly PodRule[] = [
  {
    kind: 'volumes',
    fields: [
      ...['name', 'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image'],
      ...['persistentVolumeClaim', 'projected', 'secret'],
    ],
    problem: 'volumes of this kind',
  },
  {
    kind: 'must',
    inherited: false,
    onWindows: false,
    path: 'securityContext.allowPrivilegeEscalation',
    values: [false],
    problem: 'containers without allowPrivilegeEscalation: false',
  },
  {
    kind: 'must',
    inherited: true,
    onWindows: true,
    path: 'securityContext.runAsNonRoot',
    values: [true],
    problem: 'containers without runAsNonRoot: true',
  },
  {
    kind: 'only',
    at: 'pod',
    paths: ['securityContext.runAsNonRoot'],
    values: [true],
    problem: 'pods with runAsNonRoot: false',
  },
  ...(['pod', 'container'] as const).map(
    (at): PodRule => ({
      kind: 'never',
      at,
      paths: ['securityContext.runAsUser'],
      values: [0],
      problem: 'pods or containers with runAsUser: 0',
    }),
  ),
  {
    kind: 'must',
    inherited: true,
    onWindows: false,
    path: 'securityContext.seccompProfile.type',
    values: CONFINED,
    problem: 'containers without a seccompProfile',
  },
  {
    kind: 'contains',
    path: 'securityContext.capabilities.drop',
    value: 'ALL',
    problem: 'containers that do not drop ALL capabilities',
  },
  {
    kind: 'only',
    at: 'container',
    paths: ['securityContext.capabilities.add[]'],
    values: ['NET_BIND_SERVICE'],
    problem: 'capabilities other than NET_BIND_SERVICE',
  },
];

export const POD_RULES: Readonly<Record<PodSecurityLevel, readonly PodRule[]>> = {
  privileged: [],
  baseline: BASELINE,
  restricted: [...BASELINE, ...RESTRICTED],
};

export interface PathStep {
  readonly field: string;
  readonly isList: boolean;
}

/** `ports[].hostPort`: the field `ports`, of each of its items the field `hostPort`. */
export function stepsOf(path: string): readonly PathStep[] {
  return path.split('.').map((word) => ({
    field: word.replace('[]', ''),
    isList: word.endsWith('[]'),
  }));
}

export const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers'] as const;
