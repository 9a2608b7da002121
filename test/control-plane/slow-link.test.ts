import { expect, test } from 'bun:test';
import { slowLink } from '../../src/control-plane/slow-link.ts';

const MIB = 1024 * 1024;

test('what a slow link carries in good time gives a silent peer no more time', () => {
  const link = slowLink();
  link.sent(MIB / 4);
  expect(link.patienceMs()).toBe(0);
});

test('a big message has the time that it needs at 128 kbit/s', () => {
  const link = slowLink();
  link.sent(MIB);
  expect(link.patienceMs()).toBe((0.75 * MIB) / 16);
});

test('however much was sent, the patience is bounded', () => {
  const link = slowLink();
  link.sent(1_000 * MIB);
  expect(link.patienceMs()).toBe(75_000);
});

test('a pong says what has arrived: all that was sent before its ping', () => {
  const link = slowLink();
  link.sent(MIB);
  const mark = link.mark();
  link.sent(MIB);
  link.ponged(mark);
  expect(link.patienceMs()).toBe((0.75 * MIB) / 16);
  link.ponged(link.mark());
  expect(link.patienceMs()).toBe(0);
});

test('pongs that nobody asked for say nothing', () => {
  const link = slowLink();
  link.sent(MIB);
  for (const mark of ['', 'x', '-1', 'Infinity', String(2 * MIB)]) {
    link.ponged(mark);
  }
  expect(link.patienceMs()).toBe((0.75 * MIB) / 16);
});
