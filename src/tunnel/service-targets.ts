/** Adapts the locator to the tunnel and to the proxy of the session. */
import { AgentError, expectedError } from '../core/errors.ts';
import type { UpstreamAddress, UpstreamPeer } from '../http1/client/address.ts';
import type { Destination } from '../proxy/destination.ts';
import type { Applications } from '../remote-proxy/destination.ts';
import type { ServiceLocator } from '../routes/service-locator.ts';
import { isLabel, type TunnelTargets } from './targets.ts';

/** Addresses of applications that are kept, so that their connections can be reused. */
const ADDRESSES_MAX = 1_024;

export function serviceTargets(locator: ServiceLocator): TunnelTargets {
  return {
    resolve: async (header) => {
      try {
        const place = await locator.locate({
          namespace: header.namespace,
          name: header.service,
          port: header.port,
          protocol: header.protocol === 'udp' ? 'UDP' : 'TCP',
        });
        return { kind: 'target', ...place };
      } catch (thrown) {
        const error = expectedError(thrown);
        return { kind: 'refused', reason: error.message };
      }
    },
  };
}

/** @param hosts which Service an Ingress leads a request to; name in lower case, without port */
export function serviceApplications(
  locator: ServiceLocator,
  hosts: (
    name: string,
    path: string,
  ) => { readonly namespace: string; readonly name: string; readonly port: number } | undefined,
): Applications {
  /** One object for each place, because the pool keeps connections by it. */
  const addresses = new Map<string, UpstreamAddress>();
  const addressOf = (
    { hostname, port }: Pick<UpstreamAddress, 'hostname' | 'port'>,
    service: WebService,
  ): UpstreamAddress => {
    const { namespace, name, tls } = service;
    const key = `${hostname} ${port} ${namespace}/${name}:${service.port} ${tls}`;
    const known = addresses.get(key);
    if (known !== undefined) {
      return known;
    }
    if (addresses.size >= ADDRESSES_MAX) {
      addresses.delete(addresses.keys().next().value ?? '');
    }
    // Nothing here could check the name in a pod's certificate.
    const trust = tls ? 'any-certificate' : 'plain';
    const made: UpstreamAddress = { hostname, port, trust, peer: peerOf(service) };
    addresses.set(key, made);
    return made;
  };
  const service: Applications['service'] = (wanted): Destination => ({
    allow: () => ({ allowed: true }), // The locator has asked, before anything is sent.
    locate: async () => {
      const { namespace, name, port } = wanted;
      const valid = isLabel(namespace) && isLabel(name);
      if (!(valid && Number.isInteger(port) && port >= 1 && port <= 65_535)) {
        throw new AgentError('PROXY_REQUEST_INVALID', 'The name or the port names no Service', {
          hint: 'Give a name and a namespace by RFC 1123, and a port of 1 to 65535',
        });
      }
      const place = await locator.locate({ namespace, name, port, protocol: 'TCP' });
      return {
        address: addressOf({ hostname: place.host, port: place.port }, wanted),
        host: `${name}.${namespace}.svc:${port}`,
        token: undefined,
      };
    },
    unauthorized: () => undefined, // A 401 is between the application and its users.
  });
  return {
    service,
    host: (name, path) => {
      const found = hosts(name.replace(/:\d+$/, '').toLowerCase(), path);
      return found === undefined ? undefined : service({ ...found, tls: false });
    },
  };
}

type WebService = Parameters<Applications['service']>[0];

/** How errors describe an application: its author has to act, not the operator of k3s. */
function peerOf({ namespace, name, port, tls }: WebService): UpstreamPeer {
  const speaks = tls ? 'HTTPS' : 'HTTP';
  return {
    code: 'APPLICATION_UNREACHABLE',
    name: `Service ${namespace}/${name}, port ${port}`,
    hint: `Check that its pods run and listen on the target port of that port: kubectl -n ${namespace} describe service ${name}`,
    answerHint: `Check that it speaks ${speaks} on that port: kubectl -n ${namespace} describe service ${name}`,
  };
}
