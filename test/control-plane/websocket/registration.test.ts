/** How long the answer to a registration is waited for. */
import { expect, test } from 'bun:test';
import {
  REGISTER_TIMEOUT_MS,
  registrationWait,
} from '../../../src/control-plane/websocket/registration.ts';
import type { Envelope } from '../../../src/protocol/session/messages.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { turn } from '../../support/until.ts';

const never = new AbortController().signal;
const said = (type: string, payload: Envelope['payload'] = {}): Envelope => ({
  type,
  payload,
  request_id: 'r1',
  timestamp: '2026-01-01T00:00:00Z',
});

test('register_in_progress extends the wait', async () => {
  const clock = manualClock();
  const wait = registrationWait(clock, 'r1');
  const answer = wait.answer(never);
  for (const _ of [1, 2, 3]) {
    clock.advance(REGISTER_TIMEOUT_MS - 1);
    wait.offer(said('register_in_progress'));
    await turn();
  }
  wait.offer(said('register_success', { cluster_id: 'c1' }));
  expect((await answer).cluster_id).toBe('c1');
});

test('it waits 30 s for the first word, and two minutes in all', async () => {
  const clock = manualClock();
  const silent = failureOf(() => registrationWait(clock, 'r1').answer(never));
  clock.advance(REGISTER_TIMEOUT_MS);
  expect((await silent).code).toBe('TIMEOUT');

  const wait = registrationWait(clock, 'r1');
  const endless = failureOf(() => wait.answer(never));
  const began = clock.monotonic();
  let ended = false;
  void endless.then(() => {
    ended = true;
  });
  while (!ended) {
    wait.offer(said('register_in_progress'));
    clock.advance(REGISTER_TIMEOUT_MS / 3);
    await turn();
  }
  expect([(await endless).code, clock.monotonic() - began]).toEqual(['TIMEOUT', 120_000]);
});
