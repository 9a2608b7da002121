import { expect, test } from 'bun:test';
import { decodeTunnelHeader } from '../../../src/protocol/session/tunnel-header.ts';
import { encodeTunnelHeader } from '../../support/tunnel-header.ts';

const HEADER = {
  protocol: 'udp',
  port: 53,
  service: 'dns',
  namespace: 'net',
  tunnelId: 'tunnel-1',
} as const;
const HEX = '01020035' + '0003646e73' + '00036e6574' + '000874756e6e656c2d31';

test('a header is read byte by byte: incomplete until its last byte', () => {
  const bytes = Buffer.concat([Buffer.from(HEX, 'hex'), Buffer.from('payload')]);
  const size = HEX.length / 2;
  expect(Buffer.from(encodeTunnelHeader(HEADER)).toString('hex')).toBe(HEX);
  for (let length = 0; length < size; length += 1) {
    expect(decodeTunnelHeader(bytes.subarray(0, length))).toEqual({ kind: 'incomplete' });
  }
  expect(decodeTunnelHeader(bytes)).toEqual({ kind: 'header', header: HEADER, size });
});

test('names may be empty: what they must be is decided by who uses them', () => {
  const header = { ...HEADER, service: '', namespace: '', tunnelId: '' };
  expect(decodeTunnelHeader(encodeTunnelHeader(header))).toEqual({
    kind: 'header',
    header,
    size: 10,
  });
});

test.each([
  ['an unknown version', '02', 'version 2 is not known'],
  ['an unknown protocol', '01030035', 'protocol 3 is not known'],
  ['port 0', '01010000', 'the port is 0'],
  ['a long name', '01010035' + '0040', 'a name has 64 bytes, at most 63 may be'],
  ['bytes that are no UTF-8', '01010035' + '0001ff', 'a name is not UTF-8'],
  [
    'a long tunnel id',
    '01010035' + '0000' + '0000' + 'ffff',
    'a name has 65535 bytes, at most 253 may be',
  ],
])('%s is refused as soon as it is seen', (_, hex, reason) => {
  expect(decodeTunnelHeader(Buffer.from(hex, 'hex'))).toEqual({ kind: 'invalid', reason });
});

test('names as long as they may be are read', () => {
  const header = {
    ...HEADER,
    service: 's'.repeat(63),
    namespace: 'n'.repeat(63),
    tunnelId: 't'.repeat(253),
  };
  const bytes = encodeTunnelHeader(header);
  expect(decodeTunnelHeader(bytes)).toEqual({ kind: 'header', header, size: bytes.length });
});
