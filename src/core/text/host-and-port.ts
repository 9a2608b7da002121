/**
 * As in a URL and in the Host header (RFC 3986 section 3.2.2): an address of IPv6 is in brackets.
 * @param host a name or an address, with or without brackets
 */
export function hostAndPort(host: string, port: number | string): string {
  return `${inUrl(host)}:${port}`;
}

/** A name or an address as it stands in a URL. */
export function inUrl(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** The address that a URL's `hostname` means: without the brackets of IPv6. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}
