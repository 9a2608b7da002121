/** Pods at random, of what the levels of Kubernetes' Pod Security Standards are about. */
import type { Random } from '../../src/core/ports.ts';

type Fields = Readonly<Record<string, unknown>>;
/** A field is one of these, or is not there. */
type Choices = Readonly<Record<string, readonly unknown[]>>;

/** A field that is there at all: seldom enough that many pods have one fault, or none. */
const THERE = 0.12;

const PROFILES = [
  { type: 'RuntimeDefault' },
  { type: 'Localhost', localhostProfile: 'a' },
  { type: 'Unconfined' },
];
const SELINUX = [
  ...[{ type: 'container_t' }, { type: 'container_engine_t' }, { type: 'spc_t' }, { level: 's0' }],
  ...[{ user: 'u' }, { role: 'r' }, { user: '', role: '', type: '' }],
];
const ADDED = ['CHOWN', 'NET_BIND_SERVICE', 'NET_RAW', 'SYS_ADMIN', 'ALL'];
const VOLUMES = [
  ...[{ emptyDir: {} }, { hostPath: { path: '/' } }, { nfs: { server: 'x', path: '/' } }],
  ...[{ configMap: { name: 'x' } }, { image: { reference: 'x' } }, { csi: { driver: 'x.y' } }],
  ...[{ iscsi: { targetPortal: '192.0.2.1', iqn: 'iqn.2026-01.x:y', lun: 1 } }],
];
const HANDLERS = [
  ...[{ httpGet: { port: 80 } }, { httpGet: { port: 80, host: '127.0.0.1' } }],
  ...[{ tcpSocket: { port: 80, host: 'x' } }, { tcpSocket: { port: 80, host: '' } }],
];
const SHARED: Choices = {
  runAsNonRoot: [true, true, false],
  runAsUser: [0, 1, 1_000],
  seccompProfile: PROFILES,
  appArmorProfile: PROFILES,
  seLinuxOptions: SELINUX,
};
const POD_CONTEXT: Choices = {
  ...SHARED,
  sysctls: [
    'kernel.shm_rmid_forced',
    'net.ipv4.tcp_rmem',
    'kernel.msgmax',
    'net.core.somaxconn',
  ].map((name) => [{ name, value: '1' }]),
};
const CONTAINER_CONTEXT: Choices = {
  ...SHARED,
  privileged: [true, false],
  procMount: ['Default', 'Unmasked'],
  capabilities: ADDED.flatMap((name) => [
    { add: [name] },
    { drop: ['ALL'], add: [name] },
    { drop: ['ALL'] },
    { drop: [name] },
  ]),
};
const POD: Choices = {
  hostNetwork: [true, false],
  hostPID: [true, false],
  hostIPC: [true, false],
  volumes: VOLUMES.flatMap((one) =>
    VOLUMES.map((other) => [
      { name: 'a', ...one },
      { name: 'b', ...other },
    ]),
  ),
};
const CONTAINER: Choices = {
  ports: [[{ containerPort: 80 }], [{ containerPort: 80, hostPort: 80 }]],
  livenessProbe: HANDLERS,
  readinessProbe: HANDLERS,
  lifecycle: HANDLERS.flatMap((handler) => [{ postStart: handler }, { preStop: handler }]),
};
const ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/c';
const APPARMOR: Choices = { [ANNOTATION]: ['runtime/default', 'localhost/x', 'unconfined'] };

/** Half of them keep to `restricted` but for what is drawn, so that both levels have something to tell. */
export function randomPod(random: Random, name: string): Fields {
  const draw = (choices: Choices): Fields =>
    Object.fromEntries(
      Object.entries(choices).flatMap(([field, values]) =>
        random.fraction() < THERE ? [[field, oneOf(random, values)]] : [],
      ),
    );
  const isCareful = random.fraction() < 0.5;
  const careful = isCareful
    ? { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
    : {};
  const container = (own: string) => ({
    name: own,
    image: 'x',
    ...draw(CONTAINER),
    securityContext: { ...careful, ...draw(CONTAINER_CONTEXT) },
  });
  const confined = isCareful
    ? { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }
    : {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: draw(APPARMOR) },
    spec: {
      ...draw(POD),
      securityContext: { ...confined, ...draw(POD_CONTEXT) },
      containers: [container('c')],
      ...(random.fraction() < 0.3 ? { initContainers: [container('i')] } : {}),
    },
  };
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random.fraction() * values.length)] as T;
}
