/**
 * Where a Service of the cluster is now, for the tunnel and for requests to applications. The
 * machine has no DNS of the cluster, so the API is asked. Only Services meant for this may be
 * reached: those that the agent made, that carry the label below, or that a managed Ingress or
 * Gateway leads to, and the Kubernetes API where the policy opens it. Only their own pods are dialled,
 * never a port of a node, of this machine or of a cloud's metadata service.
 */

import type { V1Service } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import { KINDS, pathOfObject } from '../core/kinds.ts';
import {
  MANAGED_BY,
  MANAGED_BY_LABEL,
  REACHABLE_LABEL,
  SERVICE_NAME_LABEL,
} from '../core/labels.ts';
import type { Clock, ThisMachine } from '../core/ports.ts';
import { ipVersion } from '../core/text/ip-version.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { type ReachPolicy, requireAllowed } from '../policy/decision.ts';
import { endpointsOf, leadsToOwnPods } from './endpoints.ts';
import { type MachineAddresses, machineAddresses } from './machine-addresses.ts';

/** An answer is reused for this long: a Service rarely moves, and each stream asks. */
const KEPT_MS = 10_000;
/** Services whose place is remembered. */
const KEPT_MAX = 1_024;
/** Time for the API to answer. */
const TIMEOUT_MS = 10_000;

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
  const machines = machineAddresses(deps);
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
        find(deps, machines, service, signal),
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

async function find(
  deps: LocatorDeps,
  machines: MachineAddresses,
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
  const clusterIp = service.spec?.clusterIP ?? 'None';
  const selecting = {
    namespace,
    name,
    port: port.name ?? '',
    selector: service.spec?.selector ?? {},
  };
  const endpoints = await endpointsOf(deps.kubernetes, selecting, signal);
  const isOfMachine = await machines.look();
  if (endpoints.places.some(({ host }) => isOfMachine(host))) {
    throw denied(wanted, 'tunnel/node-ports', 'leads to a port of a node');
  }
  if (endpoints.places.length === 0) {
    throw notFound(wanted, 'none of its pods is ready');
  }
  const [pod] = endpoints.ownPods;
  if (pod === undefined || (clusterIp !== 'None' && ipVersion(clusterIp) === 0)) {
    throw denied(wanted, 'tunnel/pods-only', 'does not lead to its pods');
  }
  // Also where a pod is gone, and nobody has written that yet: the others answer meanwhile.
  const mayBalance = clusterIp !== 'None' && leadsToOwnPods(endpoints);
  return mayBalance ? { host: clusterIp, port: wanted.port } : pod;
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

function nameOf({ namespace, name, port, protocol }: ServicePort): string {
  return `Service ${namespace}/${name}, port ${port}/${protocol}`;
}

function notFound(wanted: ServicePort, why: string): AgentError {
  return new AgentError('NOT_FOUND', `Cannot reach ${nameOf(wanted)}: ${why}`, {
    hint: `Look at: kubectl -n ${wanted.namespace} describe service ${wanted.name}`,
  });
}

function denied(wanted: ServicePort, rule: keyof typeof HINTS, why: string): AgentError {
  return new AgentError('POLICY_DENIED', `Cannot reach ${nameOf(wanted)}: it ${why}`, {
    hint: HINTS[rule](wanted),
    details: { rule },
  });
}

const whereItLeads = ({ namespace, name }: ServicePort) =>
  `See where it leads: kubectl -n ${namespace} get endpointslices -l ${SERVICE_NAME_LABEL}=${name}`;

const HINTS = {
  'tunnel/reachable': () =>
    `Label the Service ${REACHABLE_LABEL}=true, or lead a managed Ingress to it`,
  'tunnel/node-ports': whereItLeads,
  'tunnel/pods-only': whereItLeads,
} as const;
