import { expect, test } from 'bun:test';
import { ownAddress } from '../../src/daemon/own-address.ts';

test.each([
  ['a public one of IPv4', ['10.0.0.5', '2a01:4f8::5', '203.0.114.10'], '203.0.114.10'],
  ['a private one of IPv4', ['2a01:4f8::5', '10.0.0.5'], '10.0.0.5'],
  ['a public one of IPv6', ['fe80::1', 'fd00::5', '2a01:4f8::5'], '2a01:4f8::5'],
  ['a private one of IPv6', ['fe80::1', 'fd00::5'], 'fd00::5'],
  ['none', ['fe80::1'], '0.0.0.0'],
])('the control plane is told %s: %j', (_, addresses, told) => {
  expect(ownAddress(addresses)).toBe(told);
});
