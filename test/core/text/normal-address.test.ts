import { expect, test } from 'bun:test';
import { normalAddress } from '../../../src/core/text/normal-address.ts';

test.each([
  ['FD00:77:1:0:0:0:0:A', 'fd00:77:1::a'],
  ['fd00:0077:0001::000a', 'fd00:77:1::a'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['10.0.0.1', '10.0.0.1'],
  ['server.example', 'server.example'],
])('%s is %s', (text, normal) => {
  expect(normalAddress(text)).toBe(normal);
});
