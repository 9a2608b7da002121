/** Which hosts somebody wants to have led to which Services: an Ingress or an HTTPRoute. */
import type { KubernetesObject } from '@kubernetes/client-node';
import type { RegisterRoute } from '../protocol/session/routes.ts';

/** What the control plane is told of it beside its routes. */
const TOLD_PREFIX = 'pipeops.io/';
const TOLD_ANNOTATIONS_MAX = 32;
/** Longer values are left out, characters. */
const TOLD_VALUE_MAX = 1_024;
/** Longer paths are no routes, characters. */
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
  /** ISO time, for who was first. */
  readonly createdAt: string;
  readonly tls: boolean;
  /** Those of the control plane's own. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly deploymentId: string | undefined;
  readonly deploymentName: string | undefined;
  readonly rules: readonly HostRule[];
}

/** Whether the control plane may hear of it. */
export function isManaged({ metadata }: KubernetesObject): boolean {
  return (
    metadata?.labels?.['pipeops.io/managed'] === 'true' ||
    metadata?.annotations?.['pipeops.io/managed-by'] === 'pipeops'
  );
}

export function hostRow(
  metadata: KubernetesObject['metadata'],
  { tls, rules }: { readonly tls: boolean; readonly rules: readonly HostRule[] },
): HostRow {
  const facts = { ...metadata?.labels, ...metadata?.annotations };
  const environment = facts['pipeops.io/environment'];
  const owner = facts['pipeops.io/owner'];
  const byOwner =
    environment === undefined || owner === undefined ? undefined : `${environment}:${owner}`;
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    createdAt: String(metadata?.creationTimestamp ?? ''),
    tls,
    annotations: toldAnnotations(metadata?.annotations ?? {}),
    deploymentId: facts['pipeops.io/deployment-id'] ?? byOwner,
    deploymentName: facts['pipeops.io/deployment-name'] ?? owner,
    rules: rules.flatMap(({ host, paths }) =>
      // Without a host there is nothing that the control plane could lead here.
      host === '' || host.length > HOST_MAX ? [] : { host: host.toLowerCase(), paths },
    ),
  };
}

/** Those of other tools may hold anything, credentials included. */
function toldAnnotations(all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const told = Object.entries(all).filter(
    ([name, value]) => name.startsWith(TOLD_PREFIX) && value.length <= TOLD_VALUE_MAX,
  );
  return Object.fromEntries(told.slice(0, TOLD_ANNOTATIONS_MAX));
}
