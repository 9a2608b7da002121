import type { V1Service } from '@kubernetes/client-node';
import { APPLICATION_NAME_LABEL, REACHABLE_LABEL } from '../core/labels.ts';
import type { SyncRoutes } from '../protocol/session/routes.ts';

/** A Service, as far as routes need it. */
export interface ServiceRow {
  readonly namespace: string;
  readonly name: string;
  /** It has a selector, and is not an alias of an external name. */
  readonly leadsToPods: boolean;
  /** Its owner opened it to the control plane. */
  readonly reachable: boolean;
  /** The kind of ingress controller that its labels name; '' for none. */
  readonly controller: string;
  /** Only TCP ports. */
  readonly ports: readonly { readonly name: string; readonly port: number }[];
}

export type IngressController = NonNullable<SyncRoutes['ingress_controller']>;

/** Where an ingress controller's Service usually is; the existing agent looks there too. */
const USUAL_PLACES = [
  'pipeops-system/traefik',
  'ingress-nginx/ingress-nginx-controller',
  'kube-system/rke2-ingress-nginx-controller',
  'kube-system/traefik',
  'traefik/traefik',
];
const USUAL_NAMESPACES = ['kube-system', 'traefik', 'ingress-nginx', 'default'];
const HTTP_PORT_NAMES = ['web', 'http'];
const HTTP_PORT = 80;

export function serviceRow({ metadata, spec }: V1Service): ServiceRow {
  const labels = metadata?.labels ?? {};
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    leadsToPods: spec?.type !== 'ExternalName' && Object.keys(spec?.selector ?? {}).length > 0,
    reachable: labels[REACHABLE_LABEL] === 'true',
    controller: controllerOf(labels),
    ports: (spec?.ports ?? []).flatMap(({ name = '', port, protocol = 'TCP' }) =>
      protocol === 'TCP' ? { name, port } : [],
    ),
  };
}

function controllerOf(labels: Readonly<Record<string, string>>): string {
  const name = labels[APPLICATION_NAME_LABEL];
  const isKnown = name === 'traefik' || name === 'ingress-nginx';
  return isKnown ? name : (labels['k8s-app'] === 'traefik-ingress-lb' && 'traefik') || '';
}

/**
 * The ingress controller that requests may be sent to; undefined when there is none, or when the
 * tunnel would not go there: naming it would lead every route into a refusal.
 * @param services by `namespace/name`
 * @param mayRoute whether the policy lets anything of the namespace be reached
 */
export function findController(
  services: ReadonlyMap<string, ServiceRow>,
  mayRoute: (namespace: string) => boolean,
): IngressController | undefined {
  const usual = USUAL_PLACES.flatMap((place) => services.get(place) ?? []);
  const labelled = [...services.values()].filter(
    ({ namespace, controller }) => controller !== '' && USUAL_NAMESPACES.includes(namespace),
  );
  for (const { namespace, name, leadsToPods, reachable, ports } of [...usual, ...labelled]) {
    const port =
      ports.find((each) => HTTP_PORT_NAMES.includes(each.name) || each.port === HTTP_PORT) ??
      ports[0];
    if (reachable && leadsToPods && port !== undefined && mayRoute(namespace)) {
      const type = (['traefik', 'nginx'] as const).find((kind) => name.includes(kind));
      return { name, namespace, port: port.port, type: type ?? 'unknown' };
    }
  }
  return undefined;
}
