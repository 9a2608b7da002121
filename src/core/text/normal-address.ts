import { ipVersion } from './ip-version.ts';

/**
 * An address in the letters that the system writes it with (RFC 5952), to compare it: one of IPv6 may be
 * written in many ways, and OpenSSL writes all of its groups. Without the zone of an interface. What is no
 * address of IPv6 stays as it is.
 */
export function normalAddress(text: string): string {
  return ipVersion(text) === 6
    ? new URL(`http://[${text.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
    : text;
}
