/** Frames of WebSockets as a server sends them: not masked (RFC 6455 section 5.1). */
import type { FrameEncoder } from './frame.ts';

const LENGTH_16 = 126;
const LENGTH_64 = 127;

export const SERVER_ENCODER: Pick<FrameEncoder, 'encode'> = {
  encode: (opcode, payload, send) => {
    const bytes = Buffer.concat(payload);
    send(Buffer.concat([headOf(opcode, bytes.length), bytes]));
  },
};

function headOf(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length < LENGTH_16) {
    return Buffer.of(first, length);
  }
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  if (head.length === 4) {
    head[1] = LENGTH_16;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = LENGTH_64;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return head;
}
