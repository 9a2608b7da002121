/** How a WebSocket is asked for, and what proves the answer (RFC 6455 section 4). */
import { type HeaderList, type ResponseHead, singleHeader } from '../http1/head.ts';

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;
/** The only version there is. */
export const VERSION = '13';

/** A key, to be used once. */
export function upgradeKey(randomBytes: (length: number) => Uint8Array): string {
  return Buffer.from(randomBytes(KEY_BYTES)).toString('base64');
}

/** The headers of the request, beside those of the caller. */
export function upgradeHeaders(key: string): HeaderList {
  return [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Key', key],
    ['Sec-WebSocket-Version', VERSION],
  ];
}

/** What proves that the request with this key was understood. */
function acceptOf(key: string): string {
  return new Bun.CryptoHasher('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
}

/**
 * The headers of the 101. Undefined where the request asks for no WebSocket of this version.
 * @param asked headers of the request
 * @param protocol which of the offered subprotocols it is
 */
export function upgradeAnswer(asked: HeaderList, protocol?: string): HeaderList | undefined {
  const key = singleHeader(asked, 'sec-websocket-key') ?? '';
  const isKey = /^[A-Za-z0-9+/]{22}==$/.test(key);
  if (!isKey || singleHeader(asked, 'sec-websocket-version') !== VERSION) {
    return undefined;
  }
  return [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Accept', acceptOf(key)],
    ...(protocol === undefined ? [] : [['Sec-WebSocket-Protocol', protocol] as const]),
  ];
}

/** Whether a 101 answers the request with this key, without extensions: none were offered. */
export function isUpgradeAnswer(head: ResponseHead, key: string): boolean {
  return (
    singleHeader(head.headers, 'sec-websocket-accept') === acceptOf(key) &&
    singleHeader(head.headers, 'upgrade')?.toLowerCase() === 'websocket' &&
    singleHeader(head.headers, 'sec-websocket-extensions') === undefined
  );
}
