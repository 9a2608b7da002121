/** The pods of `doctor --canary`: one on each node, of the image that every node has. */
import { AgentError } from '../../core/errors.ts';
import { KINDS, LIST_TYPE, typeOf } from '../../core/kinds.ts';
import { CANARY_LABEL } from '../../core/labels.ts';
import { pollUntil } from '../../core/waiting.ts';
import { kubectl, readKubernetesJson } from '../../host/k3s/kubectl.ts';
import { kubectlTrouble } from '../../host/k3s/kubectl-words.ts';
import { PAUSE_IMAGE } from '../../host/k3s/registry-pull.ts';
import { type CanaryPod, CanaryPodList } from '../../protocol/canary.ts';
import type { MachineContext } from '../context.ts';
import { KUBERNETES_ACCOUNT } from '../kubernetes-account.ts';

/** The kubelet ends what a run that was killed has left; the next run takes it away. */
const DEADLINE_SECONDS = 120;
const RUNNING_LIMIT_MS = 12_000;
const POLL_INTERVAL_MS = 400;
const RUN_ID_BYTES = 4;

type Deps = Pick<MachineContext, 'clock' | 'exec' | 'files' | 'places' | 'random' | 'signal'>;

const IN_NAMESPACE = `--namespace=${KUBERNETES_ACCOUNT.namespace}`;

/**
 * Makes one on each node, and waits until all run, or 12 s are over.
 * @param use sees them as they are then; they are gone afterwards
 * @throws AgentError KUBERNETES_API; what `use` throws
 */
export async function withCanaryPods<T>(
  deps: Deps,
  nodes: readonly string[],
  use: (pods: readonly CanaryPod[]) => Promise<T>,
): Promise<T> {
  await removeAll(deps); // Of a run that was killed.
  try {
    const id = Buffer.from(deps.random.bytes(RUN_ID_BYTES)).toString('hex');
    await create(deps, nodes, id);
    return await use(await running(deps, nodes.length, id));
  } finally {
    await removeAll(deps);
  }
}

async function create(deps: Deps, nodes: readonly string[], id: string): Promise<void> {
  const items = nodes.map((nodeName, index) => ({
    ...typeOf(KINDS.pod),
    metadata: { name: `canary-${id}-${index}`, labels: { [CANARY_LABEL]: id } },
    spec: podSpec(nodeName),
  }));
  const list = JSON.stringify({ ...LIST_TYPE, items });
  const { exitCode, stderr } = await kubectl(
    deps,
    ['create', IN_NAMESPACE, '--filename=-', '--output=name'],
    list,
  );
  if (exitCode !== 0) {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot start the canary's pods: ${kubectlTrouble(stderr).text}`,
      { hint: 'See how the cluster is: sudo k3s kubectl get nodes' },
    );
  }
}

/** As little as a pod can have, and on a node with whatever taint. */
function podSpec(nodeName: string) {
  return {
    nodeName,
    restartPolicy: 'Never',
    activeDeadlineSeconds: DEADLINE_SECONDS,
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    tolerations: [{ operator: 'Exists' }],
    containers: [
      {
        name: 'canary',
        image: PAUSE_IMAGE, // It waits for its end, and nothing else.
        imagePullPolicy: 'IfNotPresent',
        resources: { requests: { cpu: '1m', memory: '4Mi' }, limits: { memory: '32Mi' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          runAsNonRoot: true,
          runAsUser: 65_532,
          runAsGroup: 65_532,
          readOnlyRootFilesystem: true,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    ],
  };
}

async function running(deps: Deps, count: number, id: string): Promise<readonly CanaryPod[]> {
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: RUNNING_LIMIT_MS };
  const end = await pollUntil(deps.clock, pace, deps.signal, async () => {
    const argv = ['get', 'pods', IN_NAMESPACE, `--selector=${CANARY_LABEL}=${id}`];
    const { items } = CanaryPodList.parse(await readKubernetesJson(deps, argv), { jitless: true });
    const isAll = items.length === count && items.every((pod) => isRunning(pod));
    return isAll ? { found: items } : { soFar: items };
  });
  if (end.kind === 'aborted') {
    throw new AgentError('INTERRUPTED', 'Interrupted while the canary started');
  }
  return end.kind === 'found' ? end.found : end.soFar;
}

export function isRunning({ status }: CanaryPod): boolean {
  return status.phase === 'Running' && status.podIP !== undefined;
}

async function removeAll(deps: Deps): Promise<void> {
  await kubectl(deps, [
    ...['delete', 'pods', IN_NAMESPACE, `--selector=${CANARY_LABEL}`],
    ...['--ignore-not-found', '--wait=false'],
  ]);
}
