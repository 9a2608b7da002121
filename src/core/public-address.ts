import { type IpRange, ipRange, overlaps } from './ip-range.ts';

/** Ranges from which nobody on the internet reaches a machine (IANA, "Special-Purpose Address Registries"). */
const NOT_PUBLIC: readonly IpRange[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/3'],
  ...['::/8', 'fc00::/7', 'fe80::/10', 'ff00::/8'],
].flatMap((text) => ipRange(text) ?? []);

/** Whether the internet may reach a machine by this address. */
export function isPublicAddress(address: string): boolean {
  const range = ipRange(address);
  return range !== undefined && !NOT_PUBLIC.some((each) => overlaps(each, range));
}
