import { expect, test } from 'bun:test';
import {
  type IpRange,
  ipRange,
  isCidr,
  isInCidr,
  isWithin,
  overlaps,
} from '../../src/core/ip-range.ts';

const range = (text: string) => ipRange(text) as IpRange;

test.each([
  ['10.42.0.0/16', '10.0.0.0/8', true],
  ['10.42.0.0/16', '10.43.0.0/16', false],
  ['10.42.0.0/16', '10.42.255.255', true],
  ['10.42.0.0/16', '10.41.255.255', false],
  ['192.168.1.77/24', '192.168.1.1', true],
  ['0.0.0.0/0', '203.0.113.9', true],
  ['fd00:42::/56', 'fd00:42:0:ff::1', true],
  ['fd00:42::/56', 'fd00:42:0:100::1', false],
  ['fe80::1%eth0', 'fe80::/10', true],
  ['::/0', '10.0.0.1', false],
  ['::ffff:10.0.0.1', '::ffff:a00:1', true],
])('%s and %s have addresses in common: %p', (a, b, expected) => {
  expect([overlaps(range(a), range(b)), overlaps(range(b), range(a))]).toEqual([
    expected,
    expected,
  ]);
});

test('a range is within another one when all of it is', () => {
  expect(isWithin(range('10.42.3.0/24'), range('10.42.0.0/16'))).toBe(true);
  expect(isWithin(range('10.42.0.0/16'), range('10.42.3.0/24'))).toBe(false);
});

test.each([
  '',
  'eth0',
  '10.42.0.0/33',
  '10.42.0.0/',
  '10.42/16',
  '::/129',
  '10.0.0.0/8/8',
  'fd00::/-1',
])('"%s" is no range', (text) => {
  expect(ipRange(text)).toBeUndefined();
});

test.each([
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['10.0.0.7', '10.0.0.7', true],
  ['10.0.0.8', '10.0.0.7/32', false],
  ['10.0.0.8', '0.0.0.0/0', true],
  ['192.168.1.255', '192.168.1.77/24', true],
  ['fd00::7', 'fd00::/8', true],
  ['fe00::7', 'fd00::/8', false],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64', true],
  ['2001:db8:1:3::9', '2001:db8:1:2::/64', false],
  ['::ffff:10.0.0.1', '::ffff:a00:0/104', true],
  ['10.0.0.1', 'fd00::/8', false],
  ['no address', '10.0.0.0/8', false],
  ['10.0.0.1', 'no network', false],
])('%s in %s: %p', (address, cidr, expected) => {
  expect(isInCidr(address, cidr)).toBe(expected);
});

test.each([
  ['10.0.0.0/8', true],
  ['10.0.0.1', true],
  ['fd00::/0', true],
  ['10.0.0.0/33', false],
  ['fd00::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0.0/8/8', false],
  ['10.0.0/8', false],
  ['fe80::1%eth0/64', false],
  ['rack2', false],
  ['', false],
])('%s is a network: %p', (text, expected) => {
  expect(isCidr(text)).toBe(expected);
});
