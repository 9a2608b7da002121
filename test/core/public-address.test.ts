import { expect, test } from 'bun:test';
import { isPublicAddress } from '../../src/core/public-address.ts';

test.each([
  ['203.0.113.7', true],
  ['2a01:4f8::1', true],
  ['10.1.2.3', false],
  ['172.31.255.255', false],
  ['172.32.0.1', true],
  ['100.64.0.1', false],
  ['192.168.0.1', false],
  ['169.254.1.1', false],
  ['fd00::1', false],
  ['fe80::1%eth0', false],
  ['::1', false],
  ['host', false],
])('the internet reaches %s: %p', (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});
