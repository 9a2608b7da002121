import { expect, test } from 'bun:test';
import { isCidr, isInCidr } from '../../src/core/cidr.ts';

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
