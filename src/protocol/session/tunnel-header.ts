/**
 * The first bytes of each stream of the tunnel, peer → agent: where the stream shall go. Wire-exact
 * with the existing control plane, big-endian: u8 version 1, u8 protocol (1 TCP, 2 UDP), u16 port,
 * then service name, namespace and tunnel id, each as u16 length and UTF-8. The stream's own bytes
 * follow; there is no answer: a stream that cannot be served is closed without data.
 */
export interface TunnelHeader {
  readonly protocol: 'tcp' | 'udp';
  /** Of the Service, 1 to 65535. */
  readonly port: number;
  readonly service: string;
  readonly namespace: string;
  readonly tunnelId: string;
}

export type TunnelHeaderResult =
  /** `size`: how many bytes it took. */
  | { readonly kind: 'header'; readonly header: TunnelHeader; readonly size: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string };

const VERSION = 1;
const PROTOCOLS = ['tcp', 'udp'] as const;
const FIXED_BYTES = 4;

/** Longest name of a Service or namespace, bytes (RFC 1123 label). */
const NAME_BYTES_MAX = 63;
const TUNNEL_ID_BYTES_MAX = 253;

/** Reads the header from the first bytes of a stream, as many as came so far. */
export function decodeTunnelHeader(bytes: Uint8Array): TunnelHeaderResult {
  if (bytes.length > 0 && bytes[0] !== VERSION) {
    return { kind: 'invalid', reason: `version ${bytes[0]} is not known` };
  }
  if (bytes.length < FIXED_BYTES) {
    return { kind: 'incomplete' };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const protocol = PROTOCOLS[view.getUint8(1) - 1];
  if (protocol === undefined) {
    return { kind: 'invalid', reason: `protocol ${view.getUint8(1)} is not known` };
  }
  const port = view.getUint16(2);
  if (port === 0) {
    return { kind: 'invalid', reason: 'the port is 0' };
  }
  const texts: string[] = [];
  let at = FIXED_BYTES;
  for (const limit of [NAME_BYTES_MAX, NAME_BYTES_MAX, TUNNEL_ID_BYTES_MAX]) {
    if (bytes.length < at + 2) {
      return { kind: 'incomplete' };
    }
    const length = view.getUint16(at);
    if (length > limit) {
      return { kind: 'invalid', reason: `a name has ${length} bytes, at most ${limit} may be` };
    }
    const end = at + 2 + length;
    if (bytes.length < end) {
      return { kind: 'incomplete' };
    }
    const text = decodeUtf8(bytes.subarray(at + 2, end));
    if (text === undefined) {
      return { kind: 'invalid', reason: 'a name is not UTF-8' };
    }
    texts.push(text);
    at = end;
  }
  const [service = '', namespace = '', tunnelId = ''] = texts;
  return { kind: 'header', header: { protocol, port, service, namespace, tunnelId }, size: at };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined; // TypeError is how it says that these bytes are no text.
  }
}
