/** Which hosts an Ingress or an HTTPRoute wants to lead to which Services. */
import type { KubernetesObject } from '@kubernetes/client-node';
import {
  DEPLOYMENT_ID_LABEL,
  DEPLOYMENT_NAME_LABEL,
  ENVIRONMENT_LABEL,
  OWNER_LABEL,
  PIPEOPS_PREFIX,
  ROUTED_BY_ANNOTATION,
  ROUTED_LABEL,
} from '../core/labels.ts';
import type { RegisterRoute } from '../protocol/session/routes.ts';

/** Annotations told to the control plane with a route, at most: only those that are its own. */
const TOLD_ANNOTATIONS_MAX = 32;
/** Longer values are left out, characters. */
const TOLD_VALUE_MAX = 1_024;
/** Longer paths are not routed, characters. */
export const PATH_MAX = 1_024;
/** RFC 1123 section 2.1: longest host name, characters. */
const HOST_MAX = 253;

export interface RoutedPath {
  readonly path: string;
  readonly pathType: RegisterRoute['path_type'];
  /** In the namespace of the row. */
  readonly service: string;
  /** Number or name of a port of the Service. */
  readonly port: number | string;
}

export interface HostRule {
  /** Lower case; the first label may be `*`. */
  readonly host: string;
  readonly paths: readonly RoutedPath[];
}

/** A managed Ingress or HTTPRoute, as far as it matters here. */
export interface HostRow {
  readonly namespace: string;
  readonly name: string;
  /** ISO time, to tell who was first. */
  readonly createdAt: string;
  readonly tls: boolean;
  /** Only the control plane's own. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly deploymentId: string | undefined;
  readonly deploymentName: string | undefined;
  readonly rules: readonly HostRule[];
}

/** Whether the control plane may hear of it. */
export function isManaged({ metadata }: KubernetesObject): boolean {
  return (
    metadata?.labels?.[ROUTED_LABEL] === 'true' ||
    metadata?.annotations?.[ROUTED_BY_ANNOTATION] === 'pipeops'
  );
}

export function hostRow(
  metadata: KubernetesObject['metadata'],
  { tls, rules }: { readonly tls: boolean; readonly rules: readonly HostRule[] },
): HostRow {
  const facts = { ...metadata?.labels, ...metadata?.annotations };
  const environment = facts[ENVIRONMENT_LABEL];
  const owner = facts[OWNER_LABEL];
  const byOwner =
    environment === undefined || owner === undefined ? undefined : `${environment}:${owner}`;
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    createdAt: String(metadata?.creationTimestamp ?? ''),
    tls,
    annotations: toldAnnotations(metadata?.annotations ?? {}),
    deploymentId: facts[DEPLOYMENT_ID_LABEL] ?? byOwner,
    deploymentName: facts[DEPLOYMENT_NAME_LABEL] ?? owner,
    rules: rules.flatMap(({ host, paths }) =>
      // Without a host there is nothing that the control plane could lead to this cluster.
      host === '' || host.length > HOST_MAX ? [] : { host: host.toLowerCase(), paths },
    ),
  };
}

/** Only the control plane's own: annotations of other tools may hold anything, even credentials. */
function toldAnnotations(all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const told = Object.entries(all).filter(
    ([name, value]) => name.startsWith(PIPEOPS_PREFIX) && value.length <= TOLD_VALUE_MAX,
  );
  return Object.fromEntries(told.slice(0, TOLD_ANNOTATIONS_MAX));
}
