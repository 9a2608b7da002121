import { expect, test } from 'bun:test';
import { InFlight } from '../../src/yamux/in-flight.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

const MIB = 1024 * 1024;

/** Sends until there is no room and lets the peer answer after `roundTripMs`. */
function fillAndAnswer(
  clock: ManualClock,
  inFlight: InFlight,
  pings: number[],
  roundTripMs: number,
): number {
  const before = pings.length;
  let sent = 0;
  while (inFlight.hasRoom()) {
    inFlight.sent(16 * 1024);
    sent += 16 * 1024;
  }
  clock.advance(roundTripMs);
  for (const value of pings.slice(before)) {
    inFlight.answered(value);
  }
  return sent;
}

function start() {
  const clock = manualClock();
  const pings: number[] = [];
  return { clock, pings, inFlight: new InFlight({ clock }, (value) => pings.push(value)) };
}

test('four marks go out with the cap, and their answers make room again', () => {
  const { clock, inFlight, pings } = start();
  expect(fillAndAnswer(clock, inFlight, pings, 1)).toBe(MIB);
  expect(pings).toEqual([1, 2, 3, 4]);
  expect(inFlight.hasRoom()).toBe(true);
});

test('it grows while answers are quick, to 8 MiB, and shrinks to 64 KiB while they are late', () => {
  const { clock, inFlight, pings } = start();
  for (let round = 0; round < 30; round += 1) {
    fillAndAnswer(clock, inFlight, pings, 30);
  }
  expect(inFlight.capBytes).toBe(8 * MIB);
  for (let round = 0; round < 40; round += 1) {
    fillAndAnswer(clock, inFlight, pings, 80);
  }
  expect(inFlight.capBytes).toBe(64 * 1024);
});

test('a turn is a whole number of bytes, however often it shrank', () => {
  const { clock, inFlight, pings } = start();
  for (let round = 0; round < 8; round += 1) {
    fillAndAnswer(clock, inFlight, pings, round === 0 ? 1 : 80);
    expect(Number.isInteger(inFlight.quantumBytes)).toBe(true);
  }
});

test('a long way is no long queue: it grows there too', () => {
  const { clock, inFlight, pings } = start();
  for (let round = 0; round < 30; round += 1) {
    fillAndAnswer(clock, inFlight, pings, 200);
  }
  expect(inFlight.capBytes).toBe(8 * MIB);
  expect(inFlight.shortestRoundTripMs).toBe(200);
});

test('the shortest round trip is forgotten after a while: routes change', () => {
  const { clock, inFlight, pings } = start();
  fillAndAnswer(clock, inFlight, pings, 10);
  for (let minute = 0; minute < 3; minute += 1) {
    clock.advance(61_000);
    fillAndAnswer(clock, inFlight, pings, 90);
  }
  expect(inFlight.shortestRoundTripMs).toBe(90);
});

test('an answer that is not due changes nothing', () => {
  const { inFlight } = start();
  inFlight.mark();
  expect([inFlight.answered(7), inFlight.answered(1), inFlight.answered(1)]).toEqual([
    false,
    true,
    false,
  ]);
});

test('it tells since when an answer is due', () => {
  const { clock, inFlight } = start();
  expect(inFlight.waitingSinceMs).toBeUndefined();
  clock.advance(5);
  inFlight.mark();
  clock.advance(5);
  inFlight.mark();
  expect(inFlight.waitingSinceMs).toBe(5);
  clock.advance(5);
  inFlight.answered(1);
  expect(inFlight.waitingSinceMs).toBe(15);
  inFlight.answered(2);
  expect(inFlight.waitingSinceMs).toBeUndefined();
});
