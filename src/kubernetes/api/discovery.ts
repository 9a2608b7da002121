/** Where objects of a kind are in the API (kubernetes.io, "API discovery"). */
import type { V1APIResourceList } from '@kubernetes/client-node';
import { apiPath } from '../../core/kinds.ts';
import type { KubernetesClient } from './client.ts';

/** What names a kind: `apps/v1` and `Deployment`. */
export interface GroupVersionKind {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ApiResource {
  /** '' for the core group. */
  readonly group: string;
  readonly apiVersion: string;
  readonly kind: string;
  /** Plural, lower case. */
  readonly resource: string;
  readonly namespaced: boolean;
}

export interface Discovery {
  /** Undefined for a kind that this cluster does not have. Asks once for each API version. */
  find(kind: GroupVersionKind, signal: AbortSignal): Promise<ApiResource | undefined>;
}

/** Lives as long as one command: what is installed meanwhile is found by the next one. */
export function discovery(client: KubernetesClient): Discovery {
  const known = new Map<string, Promise<readonly ApiResource[]>>();
  return {
    find: async ({ apiVersion, kind }, signal) => {
      const resources = known.get(apiVersion) ?? readResources(client, apiVersion, signal);
      known.set(apiVersion, resources);
      return (await resources).find((each) => each.kind === kind);
    },
  };
}

async function readResources(
  client: KubernetesClient,
  apiVersion: string,
  signal: AbortSignal,
): Promise<readonly ApiResource[]> {
  const list = await client.find<V1APIResourceList>(apiPath(apiVersion), signal);
  return (list?.resources ?? [])
    .filter(({ name }) => !name.includes('/')) // Subresources are no objects.
    .map(({ name, kind, namespaced }) => ({
      group: groupOf(apiVersion),
      apiVersion,
      kind,
      resource: name,
      namespaced,
    }));
}

/** '' for the core group. */
export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
}

/** The path of all objects of a kind, in a namespace if it has one. */
export function collectionPath(resource: ApiResource, namespace: string | undefined): string {
  const scope = resource.namespaced ? `/namespaces/${namespace ?? 'default'}` : '';
  return `${apiPath(resource.apiVersion)}${scope}/${resource.resource}`;
}

export function objectPath(
  resource: ApiResource,
  namespace: string | undefined,
  name: string,
): string {
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
}
