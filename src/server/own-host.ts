/** Stops web pages that reach 127.0.0.1 by a rebound name, and requests from other sites. */

/** Names by which this machine's own programs call it: any other name is a rebound one. */
const OWN_HOSTS = ['127.0.0.1', 'localhost', '[::1]'];

export interface Foreign {
  readonly code: 'FOREIGN_HOST' | 'FOREIGN_ORIGIN';
  readonly message: string;
  readonly hint: string;
}

export interface Caller {
  /** Value of the Host header: `127.0.0.1:8443`. */
  readonly host: string | undefined;
  /** Value of the Origin header, when there is one. */
  readonly origin: string | undefined;
  /** It has shown the token, which no page of another site has, so its Origin does not matter. */
  readonly hasToken: boolean;
}

/** @param scheme of this door */
export function foreignReason(
  { host, origin, hasToken }: Caller,
  scheme: 'http' | 'https',
): Foreign | undefined {
  if (host === undefined || !OWN_HOSTS.includes(host.replace(/:\d+$/, '').toLowerCase())) {
    return {
      code: 'FOREIGN_HOST',
      message: 'This address answers for this machine only',
      hint: `Ask for it by one of its own names: ${OWN_HOSTS.join(', ')}`,
    };
  }
  if (!hasToken && origin !== undefined && origin !== `${scheme}://${host}`) {
    return {
      code: 'FOREIGN_ORIGIN',
      message: 'This address does not answer pages of other sites',
      hint: 'A program sends no Origin; a page of your own shows the local token',
    };
  }
  return undefined;
}
