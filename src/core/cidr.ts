/** Networks in CIDR notation, of IPv4 and IPv6 (RFC 4632, RFC 4291 section 2.3). */
import { ipVersion } from './text/ip-version.ts';

const BITS = { 4: 32, 6: 128 } as const;
const GROUP_BITS = 16n;
const IPV6_GROUPS = 8;

/** Whether a text is a network such as 10.0.0.0/8, or one address. */
export function isCidr(text: string): boolean {
  return parse(text) !== undefined;
}

/** Whether an address lies in a network. False where one of both cannot be read. */
export function isInCidr(address: string, cidr: string): boolean {
  const network = parse(cidr);
  const version = ipVersion(address);
  if (network === undefined || version !== network.version) {
    return false;
  }
  const shift = BigInt(BITS[version] - network.prefix);
  return numberOf(address, version) >> shift === network.start >> shift;
}

interface Network {
  readonly version: 4 | 6;
  readonly start: bigint;
  /** Bits that count. */
  readonly prefix: number;
}

function parse(text: string): Network | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const version = ipVersion(address);
  if (version === 0 || address.includes('%') || more.length > 0) {
    return undefined;
  }
  const prefix = bits === undefined ? BITS[version] : Number(bits);
  const isPrefix = /^\d{1,3}$/.test(bits ?? '0') && prefix <= BITS[version];
  return isPrefix ? { version, start: numberOf(address, version), prefix } : undefined;
}

/** @param address that `ipVersion` has looked at */
function numberOf(address: string, version: 4 | 6): bigint {
  if (version === 4) {
    return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  }
  const [plain = ''] = address.split('%');
  // The last two groups may be written as an IPv4 address.
  const groups = plain.replace(/(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/, (_, a, b, c, d) =>
    [a * 256 + Number(b), c * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [before = '', after] = groups.split('::').map((half) => half.split(':').filter(Boolean));
  const head = [...before];
  const tail = [...(after ?? [])];
  const zeros = Array.from({ length: IPV6_GROUPS - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].reduce(
    (sum, group) => (sum << GROUP_BITS) | BigInt(`0x${group}`),
    0n,
  );
}
