/** Frames of WebSockets as a client sends and reads them (RFC 6455 section 5). */

export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;
export type MessageOpcode = typeof OPCODES.text | typeof OPCODES.binary;

export interface WebSocketFrame {
  readonly opcode: number;
  readonly final: boolean;
  readonly payload: Buffer;
}

/** Longest payload of a control frame, bytes (RFC 6455 section 5.5). */
const CONTROL_BYTES_MAX = 125;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

/** A whole message, or a control frame, in one frame. @param mask four random bytes */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array): Buffer {
  const { length } = payload;
  const lengthBytes = length < LENGTH_16 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + lengthBytes + MASK_BYTES;
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? LENGTH_16 : LENGTH_64);
  if (lengthBytes === 2) {
    frame.writeUInt16BE(length, 2);
  } else if (lengthBytes === 8) {
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(mask.subarray(0, MASK_BYTES), start - MASK_BYTES);
  for (let at = 0; at < length; at += 1) {
    frame[start + at] = (payload[at] ?? 0) ^ (mask[at % MASK_BYTES] ?? 0);
  }
  return frame;
}

export type DecodedFrame =
  /** `size`: how many bytes it took. */
  | { readonly kind: 'frame'; readonly frame: WebSocketFrame; readonly size: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string };

const INCOMPLETE: DecodedFrame = { kind: 'incomplete' };

/** Reads one frame of a server from the beginning of `bytes`. */
export function decodeFrame(bytes: Buffer, payloadLimitBytes: number): DecodedFrame {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) {
    return INCOMPLETE;
  }
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
    return { kind: 'invalid', reason: 'a frame of an extension that was not agreed on' };
  }
  if ((second & 0x80) !== 0) {
    return { kind: 'invalid', reason: 'a masked frame of a server' };
  }
  const short = second & 0x7f;
  if (opcode >= OPCODES.close && (short > CONTROL_BYTES_MAX || !final)) {
    return { kind: 'invalid', reason: 'a control frame that is too long or in pieces' };
  }
  const start = 2 + (short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0);
  if (bytes.length < start) {
    return INCOMPLETE;
  }
  const length =
    short === LENGTH_16
      ? bytes.readUInt16BE(2)
      : short === LENGTH_64
        ? Number(bytes.readBigUInt64BE(2))
        : short;
  if (length > payloadLimitBytes) {
    return { kind: 'invalid', reason: 'a frame that is too long' };
  }
  if (bytes.length < start + length) {
    return INCOMPLETE;
  }
  const payload = bytes.subarray(start, start + length);
  return { kind: 'frame', frame: { opcode, final, payload }, size: start + length };
}
