/** Which proxy stands between this machine and an address. */
import { isCidr, isInCidr } from './ip-range.ts';
import { isLoopback } from './loopback.ts';
import { hostAndPort, withoutBrackets } from './text/host-and-port.ts';

export interface ProxyCredentials {
  readonly user: string;
  readonly password: string;
}

export interface ProxyServer {
  readonly kind: 'http' | 'https' | 'socks5';
  readonly host: string;
  readonly port: number;
  readonly credentials?: ProxyCredentials;
}

export interface ProxySettings {
  /** `http://`, `https://` or `socks5://host[:port]`; empty for none. */
  readonly url: string;
  /** `user:password` as written in a file; empty for none. */
  readonly credentials: string;
  /** Names, `.suffixes`, addresses and `*`, comma-separated: what needs no proxy. */
  readonly noProxy: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 3128, https: 443, socks5: 1080 };

/** @returns undefined when the text is not the address of a proxy */
export function parseProxy(text: string, credentials: string): ProxyServer | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const scheme = url?.protocol.replace(/:$/, '').replace(/^socks(5h)?$/, 'socks5');
  if (
    url === null ||
    url.hostname === '' ||
    !(scheme === 'http' || scheme === 'https' || scheme === 'socks5')
  ) {
    return undefined;
  }
  const colon = credentials.indexOf(':');
  const given =
    colon > 0
      ? { user: credentials.slice(0, colon), password: credentials.slice(colon + 1) }
      : url.username === ''
        ? undefined
        : { user: decoded(url.username), password: decoded(url.password) };
  return {
    kind: scheme,
    host: withoutBrackets(url.hostname),
    port: url.port === '' ? (defaultPort(text, scheme) ?? 80) : Number(url.port),
    ...(given === undefined ? {} : { credentials: given }),
  };
}

/** Its address with all that is known of it, as programs read it in HTTPS_PROXY: may hold a password. */
export function proxyAddress({ kind, host, port, credentials }: ProxyServer): string {
  const login =
    credentials === undefined
      ? ''
      : `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`;
  return `${kind}://${login}${hostAndPort(host, port)}`;
}

/** A `%` that begins no escape stands for itself, as curl reads it. */
function decoded(text: string): string {
  const escaped = text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25');
  try {
    return decodeURIComponent(escaped);
  } catch {
    return text; // The escapes are not UTF-8: taken as it is.
  }
}

/** `user:password` of a proxy's address; empty for none. */
export function credentialsOf(address: string): string {
  const parsed = parseProxy(address, '')?.credentials;
  return parsed === undefined ? '' : `${parsed.user}:${parsed.password}`;
}

/** `URL` leaves out the default port of a scheme: `http://proxy:80` seems to have none. */
function defaultPort(text: string, scheme: string): number | undefined {
  return scheme === 'http' && /:80\/?$/.test(text) ? 80 : DEFAULT_PORTS[scheme];
}

/** The proxy for an address; undefined when it is reached directly. Loopback always is. */
export function proxyFor(address: URL, settings: ProxySettings): ProxyServer | undefined {
  const host = withoutBrackets(address.hostname).toLowerCase();
  if (settings.url === '' || isLoopback(host)) {
    return undefined;
  }
  const port =
    address.port === '' ? (/^(https|wss):/.test(address.protocol) ? '443' : '80') : address.port;
  const excluded = settings.noProxy
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry.toLowerCase(), host, port));
  return excluded ? undefined : parseProxy(settings.url, settings.credentials);
}

/**
 * As curl and Go read NO_PROXY: a name stands for itself and everything below it, an address or a network in
 * CIDR form for what is in it. A port may follow, behind brackets where the address is of IPv6.
 */
function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') {
    return true;
  }
  const { name, wantedPort } = partsOf(entry);
  if (wantedPort !== undefined && wantedPort !== port) {
    return false;
  }
  if (isCidr(name)) {
    return isInCidr(host, name);
  }
  const bare = name.replace(/^\*?\./, '');
  return host === bare || host.endsWith(`.${bare}`);
}

function partsOf(entry: string): {
  readonly name: string;
  readonly wantedPort?: string | undefined;
} {
  if (isCidr(entry)) {
    return { name: entry };
  }
  const [, address, name = '', wantedPort] =
    /^(?:\[([^\]]*)\]|(.*?))(?::(\d+))?$/.exec(entry) ?? [];
  return { name: address ?? name, wantedPort };
}
