import { AgentError } from '../../core/errors.ts';
import { withoutBrackets } from '../../core/text/host-and-port.ts';
import { ipVersion } from '../../core/text/ip-version.ts';

export interface OfferingAddress {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string;
  /** `https://host:6443` of this server, by which the life of the token is asked for. */
  readonly server: string;
}

/**
 * Where this server offers what joining machines need. The first of the servers may be the fixed address of
 * them all, or another one: this one listens on its own.
 * @param servers `https://host:6443` of each
 * @param own addresses of this machine
 * @throws AgentError HOST_UNSUPPORTED where only a name is known
 */
export function offeringAddress(
  servers: readonly string[],
  own: readonly string[],
): OfferingAddress {
  const known = servers.map((server) => ({
    server,
    address: withoutBrackets(URL.parse(server)?.hostname ?? ''),
  }));
  const found = known.find(({ address }) => own.includes(address)) ?? known[0];
  if (found === undefined || ipVersion(found.address) === 0) {
    throw new AgentError('HOST_UNSUPPORTED', `Cannot offer anything at "${found?.address ?? ''}"`, {
      hint: 'An offer listens on an address, not on a name. Join without --serve, or with a bundle',
    });
  }
  return found;
}
