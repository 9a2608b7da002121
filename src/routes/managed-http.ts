import type { KubernetesObject } from '@kubernetes/client-node';
import { type BackendRef, ownService } from './backend-ref.ts';
import { type HostRow, hostRow, PATH_MAX, type RoutedPath } from './host-row.ts';

interface HttpRouteMatch {
  readonly path?: { readonly type?: string; readonly value?: string };
  readonly headers?: readonly unknown[];
  readonly queryParams?: readonly unknown[];
  readonly method?: string;
}

interface HttpRouteRule {
  readonly matches?: readonly HttpRouteMatch[];
  readonly backendRefs?: readonly BackendRef[];
}

/** HTTPRoute v1 (gateway-api.sigs.k8s.io), as far as it is used. */
export interface HttpRoute extends KubernetesObject {
  readonly spec?: {
    readonly hostnames?: readonly string[];
    readonly rules?: readonly HttpRouteRule[];
  };
}

/** What a rule without matches matches. */
const EVERYTHING: readonly HttpRouteMatch[] = [{ path: { type: 'PathPrefix', value: '/' } }];

/**
 * The hosts that the route names itself; those of its Gateway's listeners are not used. A match
 * that needs more than host and path (headers, methods, regular expressions) is not a route, and of
 * several backends the first one that gets requests is used. TLS ends at the Gateway, which is not
 * looked at here.
 */
export function httpRouteRow({ metadata, spec }: HttpRoute): HostRow {
  const namespace = metadata?.namespace ?? '';
  const paths = (spec?.rules ?? []).flatMap((rule) => pathsOf(rule, namespace));
  return hostRow(metadata, {
    tls: false,
    rules: (spec?.hostnames ?? []).map((host) => ({ host, paths })),
  });
}

function pathsOf(
  { matches = EVERYTHING, backendRefs = [] }: HttpRouteRule,
  namespace: string,
): readonly RoutedPath[] {
  const backend = ownService(
    backendRefs.find(({ weight }) => weight !== 0),
    namespace,
  );
  if (backend === undefined) {
    return [];
  }
  const { name: service, port } = backend;
  return matches.flatMap((match) => {
    const { type = 'PathPrefix', value = '/' } = match.path ?? {};
    const pathType = type === 'Exact' ? 'Exact' : 'Prefix';
    const isPlain =
      (type === 'Exact' || type === 'PathPrefix') &&
      (match.headers ?? []).length === 0 &&
      (match.queryParams ?? []).length === 0 &&
      match.method === undefined &&
      value.length <= PATH_MAX;
    return isPlain ? { path: value, pathType, service, port } : [];
  });
}
