/** Groups of an IPv6 address written in full (RFC 4291 section 2.2). */
const GROUPS = 8;
const IPV4_GROUPS = 2;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;
/** The name of the interface in a link-local address (RFC 4007 section 11). */
const ZONE = /^[0-9a-zA-Z\-.:]+$/;

/**
 * The version of IP that a text is an address of; 0 when it is not an address. Like `isIP` of
 * node:net, but that loads all of Node's sockets: 10 ms of each start.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) {
    return 4;
  }
  const zoneAt = text.indexOf('%');
  if (zoneAt < 0) {
    return isIpv6(text) ? 6 : 0;
  }
  return ZONE.test(text.slice(zoneAt + 1)) && isIpv6(text.slice(0, zoneAt)) ? 6 : 0;
}

function isIpv6(text: string): boolean {
  const [before = '', after, more] = text.split('::');
  if (more !== undefined) {
    return false;
  }
  if (after === undefined) {
    return groupsIn(before, true) === GROUPS;
  }
  const groups = groupsIn(before, false) + groupsIn(after, true);
  return groups < GROUPS; // False for NaN: one part is not made of groups.
}

/** @param isEnd whether its last group may be an IPv4 address. @returns NaN when it is not made of groups */
function groupsIn(text: string, isEnd: boolean): number {
  if (text === '') {
    return 0;
  }
  const parts = text.split(':');
  const last = parts.at(-1) ?? '';
  const isMixed = isEnd && IPV4.test(last);
  const plain = isMixed ? parts.slice(0, -1) : parts;
  return plain.every((part) => GROUP.test(part))
    ? plain.length + (isMixed ? IPV4_GROUPS : 0)
    : Number.NaN;
}
