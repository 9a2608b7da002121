import type { V1HTTPIngressPath, V1Ingress } from '@kubernetes/client-node';
import { type HostRow, hostRow, PATH_MAX, type RoutedPath } from './host-row.ts';

export function ingressRow({ metadata, spec }: V1Ingress): HostRow {
  return hostRow(metadata, {
    tls: (spec?.tls ?? []).length > 0,
    rules: (spec?.rules ?? []).map(({ host = '', http }) => ({
      host,
      paths: (http?.paths ?? []).flatMap(ingressPath),
    })),
  });
}

function ingressPath({ path, pathType, backend }: V1HTTPIngressPath): readonly RoutedPath[] {
  const service = backend.service?.name;
  const port = backend.service?.port?.number ?? backend.service?.port?.name;
  const isUsable = service !== undefined && port !== undefined && (path ?? '').length <= PATH_MAX;
  return isUsable ? [{ path: path || '/', pathType: pathTypeOf(pathType), service, port }] : [];
}

function pathTypeOf(text: string): RoutedPath['pathType'] {
  return text === 'Exact' || text === 'ImplementationSpecific' ? text : 'Prefix';
}
