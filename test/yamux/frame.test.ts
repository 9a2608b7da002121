import { expect, test } from 'bun:test';
import {
  FRAME_FLAG,
  FRAME_TYPE,
  type FrameHeader,
  readFrameHeader,
  writeFrameHeader,
} from '../../src/yamux/frame.ts';

const read = (bytes: Uint8Array, at = 0) => {
  const header: FrameHeader = { type: 0, flags: 0, streamId: 0, length: 0 };
  return readFrameHeader(bytes, at, header) ? header : undefined;
};

test('a header is written as hashicorp/yamux specifies it, and read back', () => {
  const header = {
    type: FRAME_TYPE.windowUpdate,
    flags: FRAME_FLAG.syn | FRAME_FLAG.rst,
    streamId: 0xfedcba98,
    length: 0xffffffff,
  };
  const bytes = new Uint8Array(14);
  writeFrameHeader(bytes, 1, header);
  expect(Buffer.from(bytes).toString('hex')).toBe('00000100' + '09fedcba' + '98ffffff' + 'ff00');
  expect(read(bytes, 1)).toEqual(header);
});

test('another version and a type that does not exist are no header', () => {
  expect(read(Buffer.from('010000000000000000000000', 'hex'))).toBeUndefined();
  expect(read(Buffer.from('000400000000000000000000', 'hex'))).toBeUndefined();
});
