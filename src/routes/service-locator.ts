/**
 * Where a Service of the cluster is now, for the tunnel and for requests to applications. The
 * machine has no DNS of the cluster, so the API is asked. Only Services meant for this may be
 * reached: those that the agent made, that carry the label below, or that a managed Ingress or
 * Gateway leads to, and the Kubernetes API where the policy opens it. All of them lead to their own
 * pods, and never to a port of a node, of this machine or of a cloud's metadata service.
 */

import type { V1EndpointSlice, V1Node, V1Pod, V1Service } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import { type IpRange, ipRange, overlaps } from '../core/ip-range.ts';
import { KINDS, pathOfKind, pathOfObject } from '../core/kinds.ts';
import {
  FLANNEL_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  REACHABLE_LABEL,
  SERVICE_NAME_LABEL,
} from '../core/labels.ts';
import type { Clock, ThisMachine } from '../core/ports.ts';
import { ipVersion } from '../core/text/ip-version.ts';
import { normalAddress } from '../core/text/normal-address.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { collect } from '../kubernetes/watch/cluster-status.ts';
import { type ReachPolicy, requireAllowed } from '../policy/decision.ts';

/** An answer is reused for this long: a Service rarely moves, and each stream asks. */
const KEPT_MS = 10_000;
/** Services whose place is remembered. */
const KEPT_MAX = 1_024;
const NODES_KEPT_MS = 30_000;
/** Time for the API to answer. */
const TIMEOUT_MS = 10_000;

/**
 * Where no pod is: this machine and its links, IPv4 inside IPv6 (RFC 6890, RFC 4291, RFC 6052), and where clouds tell
 * a machine about itself elsewhere (AWS, Oracle, Google, Alibaba).
 */
const OF_MACHINES: readonly IpRange[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '::/8', 'fe80::/10'],
  ...['fd00:ec2::/32', 'fd00:c1::/32', 'fd20:ce::/32', '100.100.100.200'],
].flatMap(rangeOf);

export interface ServicePort {
  readonly namespace: string;
  readonly name: string;
  /** Of the Service, 1 to 65535. */
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

export interface ServicePlace {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

export interface ServiceLocator {
  /**
   * @throws AgentError POLICY_DENIED when it may not be reached, NOT_FOUND when there is no such
   *   Service, port or ready endpoint, KUBERNETES_API
   */
  locate(service: ServicePort): Promise<ServicePlace>;
}

interface LocatorDeps {
  readonly clock: Clock;
  readonly machine: Pick<ThisMachine, 'addresses'>;
  readonly kubernetes: KubernetesClient;
  readonly policy: ReachPolicy;
  /** Whether a managed Ingress or Gateway leads to this port of the Service. */
  readonly isRouted: (service: ServicePort) => boolean;
  /** The API server, as the agent itself reaches it. */
  readonly apiServer: () => Promise<ServicePlace>;
}

export function serviceLocator(deps: LocatorDeps): ServiceLocator {
  const nodeAddresses = keptNodeAddresses(deps);
  const kept = new Map<string, { readonly at: number; readonly place: Promise<ServicePlace> }>();
  return {
    locate: async (service) => {
      // Asked each time: reaching a remembered place may no longer be allowed.
      const isApi = isKubernetesApi(service);
      requireAllowed(isApi ? deps.policy.kubernetesApi() : deps.policy.reach(service.namespace));
      if (isApi) {
        return await deps.apiServer();
      }
      const key = `${service.namespace}/${service.name}:${service.port}/${service.protocol}`;
      const known = kept.get(key);
      if (known !== undefined && deps.clock.monotonic() - known.at < KEPT_MS) {
        return await known.place;
      }
      kept.delete(key);
      if (kept.size >= KEPT_MAX) {
        kept.delete(kept.keys().next().value ?? '');
      }
      const place = within(deps.clock, TIMEOUT_MS, undefined, (signal) =>
        find(deps, nodeAddresses, service, signal),
      );
      kept.set(key, { at: deps.clock.monotonic(), place });
      // A failure is not kept: the missing thing may be made at any time. The caller is told.
      place.catch(() => {
        if (kept.get(key)?.place === place) {
          kept.delete(key);
        }
      });
      return await place;
    },
  };
}

function isKubernetesApi({ namespace, name, port, protocol }: ServicePort): boolean {
  return namespace === 'default' && name === 'kubernetes' && port === 443 && protocol === 'TCP';
}

/** Asked at most once in NODES_KEPT_MS: a new node is no risk in so short a time. */
function keptNodeAddresses(deps: LocatorDeps): () => Promise<ReadonlySet<string>> {
  let at = Number.NEGATIVE_INFINITY;
  let known: Promise<ReadonlySet<string>> = Promise.resolve(new Set());
  return () => {
    if (deps.clock.monotonic() - at >= NODES_KEPT_MS) {
      at = deps.clock.monotonic();
      known = readNodeAddresses(deps);
      known.catch(() => {
        at = Number.NEGATIVE_INFINITY; // This caller gets the error; the next one asks again.
      });
    }
    return known;
  };
}

async function readNodeAddresses(deps: LocatorDeps): Promise<ReadonlySet<string>> {
  const lists = await within(deps.clock, TIMEOUT_MS, undefined, (signal) =>
    collect<V1Node, readonly string[]>(
      deps.kubernetes,
      pathOfKind(KINDS.node),
      (node) => numbersOfNode(node),
      signal,
    ),
  );
  return new Set(lists.flat());
}

/** Its own addresses, and those that flannel gives its side of the pods' network: the first two of its part. */
function numbersOfNode({ metadata, spec, status }: V1Node): readonly string[] {
  const own = (status?.addresses ?? []).flatMap(({ address }) => rangeOf(address));
  const isOfFlannel = metadata?.annotations?.[FLANNEL_ANNOTATION] !== undefined;
  const pods = (isOfFlannel ? spec?.podCIDRs : undefined) ?? [];
  const links = pods.flatMap(rangeOf).flatMap(({ version, first }) => [
    { version, first },
    { version, first: first + 1n },
  ]);
  return [...own, ...links].map(numberOf);
}

/** None where the text is neither an address nor a network: a node also tells its name. */
function rangeOf(text: string): readonly IpRange[] {
  return [ipRange(text) ?? []].flat();
}

/** The same for each way to write an address. */
function numberOf({ version, first }: Pick<IpRange, 'version' | 'first'>): string {
  return `${version} ${first}`;
}

async function find(
  deps: LocatorDeps,
  nodeAddresses: () => Promise<ReadonlySet<string>>,
  wanted: ServicePort,
  signal: AbortSignal,
): Promise<ServicePlace> {
  const { namespace, name } = wanted;
  const path = pathOfObject(KINDS.service, { namespace, name });
  const service = await deps.kubernetes.find<V1Service>(path, signal);
  if (service === undefined) {
    throw notFound(wanted, 'there is no such Service');
  }
  checkReachable(wanted, service, deps.isRouted(wanted));
  const port = service.spec?.ports?.find(
    (each) => each.port === wanted.port && (each.protocol ?? 'TCP') === wanted.protocol,
  );
  if (port === undefined) {
    throw notFound(wanted, 'it has no such port');
  }
  // All of them: the Service leads to each, and one that is not looked at may lead to a node.
  const ofSlices = await collect(
    deps.kubernetes,
    pathOfKind(KINDS.endpointSlice, namespace),
    (slice: V1EndpointSlice) => readyPlaces(slice, port.name ?? ''),
    signal,
    { labelSelector: `${SERVICE_NAME_LABEL}=${name}` },
  );
  const places = ofSlices.flat();
  // Kubernetes also takes names, and 0177.0.0.1, which it reads in another way than the system: who dials that dials
  // another machine than the one that was looked at.
  const clusterIp = service.spec?.clusterIP ?? 'None';
  const hosts = [...places.map(({ host }) => host), ...(clusterIp === 'None' ? [] : [clusterIp])];
  if (hosts.some((host) => ipVersion(host) === 0)) {
    throw denied(wanted, 'tunnel/pods-only', 'does not lead to pods');
  }
  const nodes = await nodeAddresses();
  const here = new Set(deps.machine.addresses().flatMap(rangeOf).map(numberOf));
  const isOfNode = (range: IpRange) => nodes.has(numberOf(range)) || here.has(numberOf(range));
  const ranges = places.flatMap(({ host }) => rangeOf(host));
  if (ranges.some((range) => isOfMachine(range) || isOfNode(range))) {
    throw denied(wanted, 'tunnel/node-ports', 'leads to a port of a node');
  }
  const [first] = places;
  if (first === undefined) {
    throw notFound(wanted, 'none of its pods is ready');
  }
  const pods = await podNumbers(deps, wanted, service.spec?.selector ?? {}, signal);
  if (!ranges.every((range) => pods.has(numberOf(range)))) {
    throw denied(wanted, 'tunnel/pods-only', 'does not lead to its pods alone');
  }
  return clusterIp === 'None' ? first : { host: clusterIp, port: wanted.port };
}

/**
 * The addresses of the pods that the Service selects. Whoever may write its endpoints could have it lead to those of
 * another namespace, or to another Service; but what address a pod has only its node says.
 */
async function podNumbers(
  { kubernetes }: Pick<LocatorDeps, 'kubernetes'>,
  { namespace }: ServicePort,
  selector: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const labels = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  const lists = await collect(
    kubernetes,
    pathOfKind(KINDS.pod, namespace),
    ({ status }: V1Pod) => (status?.podIPs ?? []).flatMap(({ ip }) => rangeOf(ip)).map(numberOf),
    signal,
    { labelSelector: labels.join(',') },
  );
  return new Set(lists.flat());
}

function checkReachable(wanted: ServicePort, service: V1Service, isRouted: boolean): void {
  const labels = service.metadata?.labels ?? {};
  const isOpen =
    labels[REACHABLE_LABEL] === 'true' || labels[MANAGED_BY_LABEL] === MANAGED_BY[MANAGED_BY_LABEL];
  if (!(isOpen || isRouted)) {
    throw denied(wanted, 'tunnel/reachable', `has no label ${REACHABLE_LABEL}=true`);
  }
  // Without a selector somebody wrote its endpoints by hand, and they may be any machine.
  const selector = Object.keys(service.spec?.selector ?? {});
  if (service.spec?.type === 'ExternalName' || selector.length === 0) {
    throw denied(wanted, 'tunnel/pods-only', 'does not lead to pods');
  }
}

function readyPlaces(slice: V1EndpointSlice, portName: string): readonly ServicePlace[] {
  const port = slice.ports?.find((each) => (each.name ?? '') === portName)?.port;
  return port === undefined
    ? []
    : (slice.endpoints ?? []).flatMap(({ conditions, addresses }) =>
        conditions?.ready === false
          ? []
          : addresses.map((host) => ({ host: normalAddress(host), port })),
      );
}

function isOfMachine(range: IpRange): boolean {
  return OF_MACHINES.some((each) => overlaps(each, range));
}

function nameOf({ namespace, name, port, protocol }: ServicePort): string {
  return `Service ${namespace}/${name}, port ${port}/${protocol}`;
}

function notFound(wanted: ServicePort, why: string): AgentError {
  return new AgentError('NOT_FOUND', `Cannot reach ${nameOf(wanted)}: ${why}`, {
    hint: `Look at: kubectl -n ${wanted.namespace} describe service ${wanted.name}`,
  });
}

function denied(wanted: ServicePort, rule: string, why: string): AgentError {
  return new AgentError('POLICY_DENIED', `Cannot reach ${nameOf(wanted)}: it ${why}`, {
    hint: `Label the Service ${REACHABLE_LABEL}=true, or lead a managed Ingress to it`,
    details: { rule },
  });
}
