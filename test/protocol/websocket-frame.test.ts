import { expect, test } from 'bun:test';
import { decodeFrame, encodeFrame, OPCODES } from '../../src/protocol/websocket-frame.ts';

const MASK = Uint8Array.of(1, 2, 3, 4);

/** What a server would make of a frame of a client: the same without the mask. */
function unmasked(frame: Buffer): Buffer {
  const short = (frame[1] ?? 0) & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + lengthBytes + 4;
  const payload = frame.subarray(start).map((byte, at) => byte ^ (MASK[at % 4] ?? 0));
  const head = Buffer.from(frame.subarray(0, 2 + lengthBytes));
  head[1] = short;
  return Buffer.concat([head, payload]);
}

test.each([0, 1, 125, 126, 127, 65_535, 65_536, 100_000])('a payload of %d bytes', (length) => {
  const payload = Buffer.alloc(length, 'ab');
  const bytes = unmasked(encodeFrame(OPCODES.binary, payload, MASK));
  expect(decodeFrame(Buffer.concat([bytes, Buffer.from('rest')]), 1_000_000)).toEqual({
    kind: 'frame',
    frame: { opcode: OPCODES.binary, final: true, payload },
    size: bytes.length,
  });
  for (const cut of [0, 1, 2, 3, bytes.length - 1]) {
    if (cut < bytes.length) {
      expect(decodeFrame(bytes.subarray(0, cut), 1_000_000).kind).toBe('incomplete');
    }
  }
});

test.each([
  ['an extension', [0xc2, 0x00]],
  ['an unknown opcode', [0x83, 0x00]],
  ['an unknown control opcode', [0x8b, 0x00]],
  ['a mask', [0x82, 0x81, 0, 0, 0, 0, 0]],
  ['a ping in pieces', [0x09, 0x00]],
  ['a long ping', [0x89, 0x7e, 0x00, 0x80]],
  ['a length over the limit', [0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]],
])('%s is invalid', (_, bytes) => {
  expect(decodeFrame(Buffer.from(bytes), 1_000).kind).toBe('invalid');
});
