import { expect, test } from 'bun:test';
import { hostAndPort, inUrl, withoutBrackets } from '../../../src/core/text/host-and-port.ts';

test.each([
  ['server.example', 'server.example:6443'],
  ['10.0.0.1', '10.0.0.1:6443'],
  ['fd00::1', '[fd00::1]:6443'],
  ['[fd00::1]', '[fd00::1]:6443'],
])('%s and a port are %s, which is a URL', (host, wanted) => {
  expect(hostAndPort(host, 6443)).toBe(wanted);
  expect(new URL(`https://${wanted}/`).host).toBe(wanted);
});

test('an address goes into a URL and comes back as it was', () => {
  const hosts = ['server.example', '10.0.0.1', 'fd00::1'];
  expect(hosts.map((host) => withoutBrackets(new URL(`https://${inUrl(host)}`).hostname))).toEqual(
    hosts,
  );
});
