import { expect, test } from 'bun:test';
import { offeringAddress } from '../../../src/machine/tokens/offering-address.ts';

const SERVERS = [
  ...['https://k8s.example.com:6443', 'https://10.0.0.1:6443'],
  ...['https://[fd00:77:1::a]:6443', 'https://10.0.0.2:6443'],
];

test.each([
  ['10.0.0.2', 'https://10.0.0.2:6443'],
  ['fd00:77:1::a', 'https://[fd00:77:1::a]:6443'],
])('the server at %s offers there', (address, server) => {
  expect(offeringAddress(SERVERS, ['fe80::1', address])).toEqual({ address, server });
});

test('nothing is offered where this server is known by a name alone', () => {
  expect(() => offeringAddress(SERVERS, ['10.9.9.9'])).toThrow(
    'Cannot offer anything at "k8s.example.com"',
  );
});
