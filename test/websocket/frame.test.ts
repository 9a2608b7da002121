import { expect, test } from 'bun:test';
import { FrameEncoder, OPCODES } from '../../src/websocket/frame.ts';
import { type ReadFrame, WebSocketReader } from '../../src/websocket/reader.ts';

const MASK = Uint8Array.of(1, 2, 3, 4);
const LENGTHS = [0, 1, 2, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 262_144, 300_003];

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

function encoded(...payload: readonly Uint8Array[]): Buffer {
  const encoder = new FrameEncoder((length) => Buffer.alloc(length, MASK));
  const sent: Buffer[] = [];
  encoder.encode(OPCODES.binary, payload, (bytes) => sent.push(Buffer.from(bytes)));
  return Buffer.concat(sent);
}

function readAll(chunks: readonly Buffer[], payloadBytesMax = 1_000_000): ReadFrame[] {
  const reader = new WebSocketReader(payloadBytesMax);
  const read: ReadFrame[] = [];
  for (const chunk of chunks) {
    reader.feed(chunk);
    for (let next = reader.next(); next.kind !== 'incomplete'; next = reader.next()) {
      read.push(next);
      if (next.kind === 'invalid') {
        return read;
      }
    }
  }
  return read;
}

const payloadOf = (length: number) => Buffer.alloc(length, 'abcdefg');
const frameOf = (length: number) => unmasked(encoded(payloadOf(length)));
const expectedOf = (length: number): ReadFrame => ({
  kind: 'frame',
  frame: { opcode: OPCODES.binary, final: true, payload: payloadOf(length) },
});

test.each(LENGTHS)('a payload of %d bytes, cut anywhere near its borders', (length) => {
  const frame = frameOf(length);
  const both = Buffer.concat([frame, frameOf(3)]);
  const expected = [expectedOf(length), expectedOf(3)];
  const borders = [0, 1, 2, 3, 9, 10, 11, frame.length - 1, frame.length, frame.length + 1];
  for (const cut of borders.filter((at) => at < both.length)) {
    expect(readAll([both.subarray(0, cut), both.subarray(cut)])).toEqual(expected);
  }
});

test('a payload in parts is one payload, wherever blocks end', () => {
  const payload = payloadOf(600_000);
  const whole = encoded(payload);
  for (const cuts of [[12], [0, 5], [12, 266_239, 266_240], [266_241, 532_480], [599_999]]) {
    const borders = [0, ...cuts, payload.length];
    const parts = cuts.map((_, at) => payload.subarray(borders[at], borders[at + 1]));
    const last = payload.subarray(cuts.at(-1));
    expect(encoded(...parts, last).equals(whole)).toBe(true);
  }
  expect(encoded()).toEqual(encoded(payloadOf(0)));
});

test('every byte by itself', () => {
  const frames = LENGTHS.filter((length) => length < 1_000);
  const bytes = Buffer.concat(frames.map(frameOf));
  expect(readAll([...bytes].map((byte) => Buffer.of(byte)))).toEqual(frames.map(expectedOf));
});

test('a payload at any place in memory is masked alike', () => {
  const whole = payloadOf(64);
  for (let start = 0; start < 8; start += 1) {
    const payload = whole.subarray(start, start + 21);
    const frame = unmasked(encoded(payload));
    expect(frame).toEqual(Buffer.concat([Buffer.of(0x82, 21), payload]));
  }
});

test.each([
  ['an extension', 1002, [0xc2, 0x00]],
  ['an unknown opcode', 1002, [0x83, 0x00]],
  ['an unknown control opcode', 1002, [0x8b, 0x00]],
  ['a mask', 1002, [0x82, 0x81, 0, 0, 0, 0, 0]],
  ['a ping in pieces', 1002, [0x09, 0x00]],
  ['a long ping', 1002, [0x89, 0x7e, 0x00, 0x80]],
  ['a length over the limit', 1009, [0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]],
  ['a length of 2^64 - 1', 1009, [0x82, 0x7f, 255, 255, 255, 255, 255, 255, 255, 255]],
])('%s is invalid', (_, code, bytes) => {
  expect(readAll([Buffer.from(bytes)], 1_000)).toEqual([
    { kind: 'invalid', code, reason: expect.any(String) },
  ]);
});
