/** Where the endpoints of a Service are, and which of them are its own pods. */
import type { V1EndpointSlice, V1Pod } from '@kubernetes/client-node';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import { SERVICE_NAME_LABEL } from '../core/labels.ts';
import { normalAddress } from '../core/text/normal-address.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { collect } from '../kubernetes/watch/cluster-status.ts';
import { numberOfAddress } from './address-number.ts';

/** kubernetes.io, "Pod Lifecycle". */
const ENDED_PHASES: readonly string[] = ['Succeeded', 'Failed'];

export interface SelectingService {
  readonly namespace: string;
  readonly name: string;
  /** Name of its port; empty where that has none. */
  readonly port: string;
  /** Not empty. */
  readonly selector: Readonly<Record<string, string>>;
}

export interface Endpoints {
  /** Of all that are ready: the Service leads to each. */
  readonly places: readonly Place[];
  /**
   * Those of them that are pods which the Service selects. Whoever may write its endpoints could have it lead to pods of
   * another namespace, or to another Service; but what address a pod has only its node says. So names are none, nor is
   * 0177.0.0.1, which Kubernetes reads in another way than the system that dials it.
   */
  readonly ownPods: readonly Place[];
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** @throws AgentError KUBERNETES_API, TIMEOUT */
export async function endpointsOf(
  client: KubernetesClient,
  service: SelectingService,
  signal: AbortSignal,
): Promise<Endpoints> {
  const first = await look(client, service, signal);
  // A pod may have gone between the two questions.
  return leadsToOwnPods(first) ? first : await look(client, service, signal);
}

export function leadsToOwnPods({ places, ownPods }: Endpoints): boolean {
  return ownPods.length === places.length;
}

async function look(
  client: KubernetesClient,
  { namespace, name, port, selector }: SelectingService,
  signal: AbortSignal,
): Promise<Endpoints> {
  const slices = await collect(
    client,
    pathOfKind(KINDS.endpointSlice, namespace),
    (slice: V1EndpointSlice) => readyPlaces(slice, port),
    signal,
    { labelSelector: `${SERVICE_NAME_LABEL}=${name}` },
  );
  const places = slices.flat();
  const labels = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  const pods = await collect(client, pathOfKind(KINDS.pod, namespace), numbersOfPod, signal, {
    labelSelector: labels.join(','),
  });
  const own = new Set(pods.flat());
  const isOwn = (number: string | undefined) => number !== undefined && own.has(number);
  return { places, ownPods: places.filter(({ host }) => isOwn(numberOfAddress(host))) };
}

/** None of one that has ended: its address may be another pod's by now. */
function numbersOfPod({ status }: V1Pod): readonly (string | undefined)[] {
  const hasEnded = ENDED_PHASES.includes(status?.phase ?? '');
  return hasEnded ? [] : (status?.podIPs ?? []).map(({ ip }) => numberOfAddress(ip));
}

function readyPlaces(slice: V1EndpointSlice, portName: string): readonly Place[] {
  const port = slice.ports?.find((each) => (each.name ?? '') === portName)?.port;
  return port === undefined
    ? []
    : (slice.endpoints ?? []).flatMap(({ conditions, addresses }) =>
        conditions?.ready === false
          ? []
          : addresses.map((host) => ({ host: normalAddress(host), port })),
      );
}
