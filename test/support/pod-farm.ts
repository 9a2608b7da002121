/**
 * A Kubernetes API that serves as many generated pods as asked for and keeps none of them: for
 * benchmarks, in a process of its own (`bun pod-farm.ts PODS`). Prints its URL as its first line.
 * A watch sends CHANGES_PER_SECOND changes for as long as it is open.
 */

/** As in a busy cluster: ReplicaSets of ten pods, 200 namespaces, a node for every 100 pods. */
const PODS_PER_SET = 10;
const NAMESPACES = 200;
const PODS_PER_NODE = 100;
const CHANGES_PER_SECOND = 50;
const CHANGE_BATCH_MS = 100;
const PAGE_OBJECTS_MAX = 10_000;

/** About 4.5 KiB of JSON, a third of it managedFields, as kubelet and controllers leave them. */
export function podJson(index: number, changes: number): string {
  const set = Math.floor(index / PODS_PER_SET);
  const namespace = `team-${set % NAMESPACES}`;
  const hash = ((set * 2_654_435_761) % 2 ** 32).toString(36);
  const name = `service-${set}-${hash}-${((index * 40_503) % 2 ** 16).toString(36)}x${index}`;
  const app = `service-${set}`;
  const node = `node-${Math.floor(index / PODS_PER_NODE)}`;
  const time = new Date(1_767_225_600_000 + set * 7_000).toISOString().replace('.000', '');
  const uid = `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`;
  return JSON.stringify({
    metadata: {
      name,
      generateName: `${app}-${hash}-`,
      namespace,
      uid,
      resourceVersion: String(1_000 + index + changes),
      creationTimestamp: time,
      labels: {
        'app.kubernetes.io/component': 'server',
        'app.kubernetes.io/instance': app,
        'app.kubernetes.io/managed-by': 'Helm',
        'app.kubernetes.io/name': app,
        'app.kubernetes.io/version': '1.14.2',
        'helm.sh/chart': 'service-2.3.1',
        'pod-template-hash': hash,
      },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-${hash}`,
          uid,
          controller: true,
        },
      ],
      managedFields: MANAGED_FIELDS,
    },
    spec: {
      ...SPEC,
      nodeName: node,
      containers: [
        { ...CONTAINER, name: app, image: `registry.example/${app}:1.14.2` },
        { ...CONTAINER, name: 'metrics', image: 'registry.example/exporter:0.9' },
      ],
    },
    status: {
      phase: 'Running',
      conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady'].map(
        (type) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: time }),
      ),
      hostIP: '10.0.0.1',
      podIP: `10.42.${index % 250}.${set % 250}`,
      startTime: time,
      containerStatuses: [app, 'metrics'].map((container) => ({
        name: container,
        state: { running: { startedAt: time } },
        lastState: {},
        ready: true,
        restartCount: changes,
        image: `registry.example/${container}:1.14.2`,
        imageID: `registry.example/${container}@sha256:${'0'.repeat(64)}`,
        containerID: `containerd://${uid}${uid}`,
        started: true,
      })),
      qosClass: 'Burstable',
    },
  });
}

const FIELDS = Object.fromEntries(
  ['image', 'imagePullPolicy', 'name', 'ports', 'readinessProbe', 'resources', 'env'].map(
    (field) => [`f:${field}`, { '.': {}, 'f:value': {}, 'f:valueFrom': {} }],
  ),
);
const MANAGED_FIELDS = ['kube-controller-manager', 'kubelet'].map((manager) => ({
  manager,
  operation: 'Update',
  apiVersion: 'v1',
  time: '2026-01-01T00:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:metadata': { 'f:labels': FIELDS }, 'f:spec': { 'f:containers': FIELDS } },
}));
const SPEC = {
  volumes: [{ name: 'kube-api-access', projected: { sources: [], defaultMode: 420 } }],
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  serviceAccountName: 'default',
  securityContext: {},
  schedulerName: 'default-scheduler',
  tolerations: [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  ],
  enableServiceLinks: true,
};
const CONTAINER = {
  ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
  env: ['LOG_LEVEL', 'DATABASE', 'CACHE', 'REGION'].map((name) => ({
    name,
    value: 'x'.repeat(24),
  })),
  resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
  volumeMounts: [{ name: 'kube-api-access', readOnly: true, mountPath: '/var/run/secrets' }],
  readinessProbe: { httpGet: { path: '/health', port: 8080 }, periodSeconds: 10 },
  imagePullPolicy: 'IfNotPresent',
};

/** @param pods how many it has */
export function startPodFarm(pods: number): { readonly url: string; stop(): Promise<void> } {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    development: false,
    fetch: (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const count = pathname === '/api/v1/pods' ? pods : 0;
      if (searchParams.get('watch') === 'true') {
        return new Response(changes(count));
      }
      const from = Number(searchParams.get('continue') ?? 0);
      const limit = Number(searchParams.get('limit') ?? 0) || PAGE_OBJECTS_MAX * 100;
      return new Response(page(from, Math.min(count, from + limit), count), {
        headers: { 'content-type': 'application/json' },
      });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

function page(from: number, to: number, count: number): ReadableStream<string> {
  const metadata = {
    resourceVersion: String(1_000 + count),
    ...(to < count ? { continue: String(to), remainingItemCount: count - to } : {}),
  };
  let next = from;
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(`{"kind":"List","metadata":${JSON.stringify(metadata)},"items":[`);
    },
    pull: (controller) => {
      const items: string[] = [];
      for (; next < to && items.length < 50; next += 1) {
        items.push(`${next === from ? '' : ','}${podJson(next, 0)}`);
      }
      controller.enqueue(items.join(''));
      if (next === to) {
        controller.enqueue(']}');
        controller.close();
      }
    },
  });
}

function changes(count: number): ReadableStream<string> {
  let sent = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream({
    start: (controller) => {
      if (count === 0) {
        return;
      }
      timer = setInterval(() => {
        for (let each = 0; each < (CHANGES_PER_SECOND * CHANGE_BATCH_MS) / 1_000; each += 1) {
          sent += 1;
          const object = podJson((sent * 7_919) % count, sent);
          controller.enqueue(`{"type":"MODIFIED","object":${object}}\n`);
        }
      }, CHANGE_BATCH_MS);
    },
    cancel: () => clearInterval(timer),
  });
}

if (import.meta.main) {
  console.log(startPodFarm(Number(Bun.argv[2])).url);
}
