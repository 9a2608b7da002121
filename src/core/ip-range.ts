/** Ranges of IP addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3). */
import { ipVersion } from './text/ip-version.ts';

export interface IpRange {
  readonly version: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  /** As it was written. */
  readonly text: string;
}

const BITS = { 4: 32, 6: 128 } as const;

/** @param text `10.42.0.0/16`, or an address: a range of one. @returns undefined when it is neither */
export function ipRange(text: string): IpRange | undefined {
  const [address = '', length, more] = text.split('/');
  const version = ipVersion(address);
  if (version === 0 || more !== undefined || !/^\d{1,3}$/.test(length ?? '0')) {
    return undefined;
  }
  const bits = BITS[version];
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) {
    return undefined;
  }
  const size = 1n << BigInt(bits - prefix);
  const number = version === 4 ? numberOf4(address) : numberOf6(address);
  const first = (number / size) * size;
  return { version, first, last: first + size - 1n, text };
}

export function overlaps(a: IpRange, b: IpRange): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}

/** Whether all of `inner` is in `outer`. */
export function isWithin(inner: IpRange, outer: IpRange): boolean {
  return inner.version === outer.version && outer.first <= inner.first && inner.last <= outer.last;
}

/** Whether a text is a network or one address, for a person to give: without the zone of an interface. */
export function isCidr(text: string): boolean {
  return !text.includes('%') && ipRange(text) !== undefined;
}

/** Whether an address lies in a network. False where one of both cannot be read. */
export function isInCidr(address: string, cidr: string): boolean {
  const [inner, outer] = [ipRange(address), ipRange(cidr)];
  return inner !== undefined && outer !== undefined && isWithin(inner, outer);
}

function numberOf4(address: string): bigint {
  return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

/** URL writes the address in its normal form, with at most one `::`. */
function numberOf6(address: string): bigint {
  const normal = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const [before = '', after = ''] = normal.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [head, tail] = [groups(before), groups(after)];
  const zeros = new Array(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].reduce(
    (sum, group) => sum * 65_536n + BigInt(`0x${group}`),
    0n,
  );
}
