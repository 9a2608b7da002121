/** The addresses of a server, and which of them to use. */
import { withoutBrackets } from '../../core/text/host-and-port.ts';

/** For name, TCP, proxy and TLS together. */
export const SOCKET_TIMEOUT_MS = 10_000;
/** Addresses of one name that are tried. */
const ADDRESSES_MAX = 4;
/** How long one of several addresses may take. */
const ADDRESS_TIMEOUT_MS = 3_000;

/** The system's resolver: it reads /etc/resolv.conf anew, the other one only at its start. */
const LOOKUP = { backend: 'libc' } as const;

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Whether TLS is spoken to it. */
  readonly secure: boolean;
}

/** @param address http, https, ws or wss */
export function targetOf(address: URL): Target {
  const secure = address.protocol === 'https:' || address.protocol === 'wss:';
  return {
    host: withoutBrackets(address.hostname),
    port: address.port === '' ? (secure ? 443 : 80) : Number(address.port),
    secure,
  };
}

/** @param host of a URL, which has addresses in their normal form, without brackets */
export function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Tries each address of a host in turn. Names are resolved anew each time.
 * @param connect rejects when it cannot, and gives up after `timeoutMs`
 */
export async function firstAddress<T>(
  host: string,
  connect: (address: string, timeoutMs: number) => Promise<T>,
): Promise<T> {
  const addresses = isAddress(host)
    ? [host]
    : (await Bun.dns.lookup(host, LOOKUP)).map(({ address }) => address);
  let failure: unknown = new Error('its name has no address');
  for (const address of addresses.slice(0, ADDRESSES_MAX)) {
    try {
      return await connect(address, addresses.length > 1 ? ADDRESS_TIMEOUT_MS : SOCKET_TIMEOUT_MS);
    } catch (thrown) {
      failure = thrown;
    }
  }
  throw failure;
}

/** All addresses of a name, as the system's resolver gives them; of an address, that. */
export async function allAddresses(host: string, limitMs: number): Promise<readonly string[]> {
  if (isAddress(host)) {
    return [host];
  }
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no resolver has answered in ${limitMs / 1_000} s`)),
    limitMs,
  );
  try {
    const found = await Promise.race([Bun.dns.lookup(host, LOOKUP), late.promise]);
    return [...new Set(found.map(({ address }) => address))];
  } finally {
    clearTimeout(timer);
  }
}
