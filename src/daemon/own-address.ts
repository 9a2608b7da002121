import { isPublicAddress } from '../core/public-address.ts';

/**
 * One address of a machine for all that know only one: a public one where it has one, of IPv6 only where it has
 * none of IPv4, and then none of a link alone (RFC 4291 section 2.5.6).
 * @param addresses without loopback
 * @returns `0.0.0.0` where it has none
 */
export function ownAddress(addresses: readonly string[]): string {
  const usable = addresses.filter((address) => !/^fe[89ab]/i.test(address));
  const ofIpv4 = usable.filter((address) => !address.includes(':'));
  const own = ofIpv4.length > 0 ? ofIpv4 : usable;
  return own.find(isPublicAddress) ?? own[0] ?? '0.0.0.0';
}
