import { expect, test } from 'bun:test';
import { storedSockets } from '../../src/platform/kept-sockets.ts';

const GIVEN = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'tcp-8080:tcp-8443' };

test.each([
  ['for another process', {}, 43],
  ['none', { LISTEN_FDS: '0' }, 42],
  ['more than the unit lets it keep', { LISTEN_FDS: '17' }, 42],
  ['a number that is none', { LISTEN_FDS: 'x' }, 42],
])('descriptors are no sockets of ours: %s', (_, changed, pid) => {
  const sent: string[] = [];
  const env = { ...GIVEN, ...changed };
  const kept = storedSockets({ env, notify: (state) => void sent.push(state) }, pid);
  kept.closeRest();
  expect([kept.take('tcp-8080'), kept.take(''), sent]).toEqual([undefined, undefined, []]);
});

test('without a service manager nothing is kept', () => {
  const kept = storedSockets({ env: {}, notify: undefined }, 42);
  kept.keep('tcp-8080', -1);
  kept.forget('tcp-8080');
  expect(kept.take('tcp-8080')).toBeUndefined();
});
