/** Where a request of the control plane goes, decided by the names it gives. */
import type { SessionLink } from '../control-plane/session/ports.ts';
import { type HeaderList, isNamed } from '../http1/head.ts';
import type { Destination } from '../proxy/destination.ts';

/** Where applications are; it also decides whether they may be reached. */
export interface Applications {
  service(target: {
    readonly namespace: string;
    readonly name: string;
    readonly port: number;
    readonly tls: boolean;
  }): Destination;
  /**
   * The application that an Ingress of this host leads to; undefined when there is none.
   * @param path raw, without the query
   */
  host(name: string, path: string): Destination | undefined;
}

export interface RemoteDestinations {
  readonly kubernetes: Destination;
  readonly applications: Applications;
}

export interface NamedTarget {
  /** Raw, without the query. */
  readonly path: string;
  readonly namespace?: string | undefined;
  readonly service_name?: string | undefined;
  readonly service_port?: number | undefined;
  readonly scheme?: string | undefined;
  readonly headers: HeaderList;
}

/** A Service when it is named completely, an Ingress by its host, else the Kubernetes API. */
export function remoteDestination(
  { kubernetes, applications }: RemoteDestinations,
  link: SessionLink,
  target: NamedTarget,
): Destination {
  const { namespace, service_name: name, service_port: port } = target;
  if (namespace && name && port) {
    return applications.service({ namespace, name, port, tls: isSecure(target.scheme) });
  }
  const host = headerOf(target.headers, 'host') ?? headerOf(target.headers, 'x-forwarded-host');
  const application = host === undefined ? undefined : applications.host(host, target.path);
  return application ?? onlyWithToken(kubernetes, link, target.headers);
}

function isSecure(scheme = ''): boolean {
  return /^(?:https|wss)$/i.test(scheme);
}

/**
 * The API server sees the agent, so the caller must show the token that was issued at registration.
 */
function onlyWithToken(
  kubernetes: Destination,
  link: SessionLink,
  headers: HeaderList,
): Destination {
  const authorization = headerOf(headers, 'authorization') ?? '';
  const token = /^Bearer (\S+)$/i.exec(authorization)?.[1];
  if (token !== undefined && link.acceptsServiceToken(token)) {
    return kubernetes;
  }
  return {
    ...kubernetes,
    allow: () => ({
      allowed: false,
      rule: 'session/service-token',
      reason: 'The request does not carry the credential of the registration',
    }),
  };
}

export function headerOf(headers: HeaderList, lowerName: string): string | undefined {
  return headers.find(([name]) => isNamed(name, lowerName))?.[1];
}
