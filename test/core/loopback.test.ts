import { expect, test } from 'bun:test';
import { isLoopback } from '../../src/core/loopback.ts';

test.each([
  ...['localhost', 'LOCALHOST.', 'a.localhost', '127.0.0.1', '127.1', '0x7f.1', '2130706433'],
  ...['127.255.0.9', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f01:203]', '0.0.0.0', '[::]'],
])('%s is this machine', (host) => {
  expect(isLoopback(new URL(`http://${host}`).hostname)).toBe(true);
});

test.each([
  ...['127.example', 'localhost.example', 'notlocalhost', '128.0.0.1', '10.0.0.1', '[::2]'],
  ...['[2001:db8::1]', '[::ffff:10.0.0.1]', '169.254.169.254'],
])('%s is another one', (host) => {
  expect(isLoopback(new URL(`http://${host}`).hostname)).toBe(false);
});
