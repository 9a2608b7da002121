import { expect, test } from 'bun:test';
import { ReceiveWindow, windowShare } from '../../src/yamux/receive-window.ts';

const KIB = 1024;

function start(roundTripMs: number, limitBytes = 1024 * KIB) {
  const time = { ms: 0 };
  const share = windowShare(
    limitBytes,
    () => roundTripMs,
    () => time.ms,
  );
  return { time, share };
}

test('credit is given back when half a window was used', () => {
  const window = new ReceiveWindow(start(1).share);
  expect(window.arrived(256 * KIB)).toBe(true);
  expect([window.used(127 * KIB), window.used(KIB), window.used(KIB)]).toEqual([0, 128 * KIB, 0]);
});

test('more than the window is too much', () => {
  const window = new ReceiveWindow(start(1).share);
  expect(window.arrived(256 * KIB)).toBe(true);
  expect(window.arrived(1)).toBe(false);
});

test('on a long way the window doubles to its limit while it holds the peer back', () => {
  const { share, time } = start(40);
  const window = new ReceiveWindow(share);
  const credits: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    time.ms += 40;
    window.arrived(256 * KIB);
    credits.push(window.used(256 * KIB) / KIB);
  }
  // The first one tells no time yet.
  expect(credits).toEqual([256, 512, 768, 0, 512, 0]);
});

test('on a short way, and where the peer is slow, it stays as it is', () => {
  for (const [roundTripMs, everyMs] of [
    [5, 1],
    [40, 200],
    [Number.POSITIVE_INFINITY, 1],
  ] as const) {
    const { share, time } = start(roundTripMs);
    const window = new ReceiveWindow(share);
    for (let round = 0; round < 5; round += 1) {
      time.ms += everyMs;
      expect(window.used(128 * KIB)).toBe(128 * KIB);
    }
  }
});

test('all windows together grow by 8 MiB at most, and what ended gives its part back', () => {
  const { share, time } = start(40);
  const windows = Array.from({ length: 20 }, () => new ReceiveWindow(share));
  for (let round = 0; round < 8; round += 1) {
    time.ms += 1;
    for (const window of windows) {
      window.used(512 * KIB);
    }
  }
  expect(share.extraBytes).toBe(0);
  for (const window of windows) {
    window.close();
  }
  expect(share.extraBytes).toBe(8 * 1024 * KIB);
});
