import type { TunnelHeader } from '../../src/protocol/session/tunnel-header.ts';

const VERSION = 1;
const PROTOCOL_NUMBERS = { tcp: 1, udp: 2 };

/** The header as a gateway writes it: the other side of `decodeTunnelHeader`. */
export function encodeTunnelHeader(header: TunnelHeader): Uint8Array {
  const texts = [header.service, header.namespace, header.tunnelId].map((text) =>
    Buffer.from(text, 'utf8'),
  );
  const parts = texts.flatMap((text) => [uint16(text.length), text]);
  const fixed = Buffer.from([VERSION, PROTOCOL_NUMBERS[header.protocol]]);
  return Buffer.concat([fixed, uint16(header.port), ...parts]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
