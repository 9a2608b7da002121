import { beforeEach, expect, test } from 'bun:test';
import { systemRandom } from '../../../src/platform/random.ts';
import { type SignIn, signIn } from '../../../src/server/dashboard/sign-in.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let clock: ManualClock;
let page: SignIn;
beforeEach(() => {
  clock = manualClock();
  page = signIn({ clock, random: systemRandom });
});

function visit() {
  const opened = page.open(page.newLink().code);
  if (opened === undefined) {
    throw new Error('a new link was refused');
  }
  return opened;
}

test('a link opens once, within five minutes', () => {
  const { code, expiresAt } = page.newLink();
  const late = page.newLink();
  expect(expiresAt).toEqual(new Date('2026-01-01T00:05:00.000Z'));
  clock.advance(5 * MINUTE_MS - 1);
  const opened = [page.open(code), page.open(code)].map((each) => each !== undefined);
  clock.advance(1);
  expect([...opened, page.open(late.code)]).toEqual([true, false, undefined]);
  expect(page.open('')).toBeUndefined();
});

test('a visit needs cookie and key of the same sign-in', () => {
  const [one, other] = [visit(), visit()];
  expect({
    both: page.accepts(one),
    cookieAlone: page.accepts({ cookie: one.cookie }),
    keyAlone: page.accepts({ key: one.key }),
    ofTwo: page.accepts({ cookie: one.cookie, key: other.key }),
    nothing: page.accepts({}),
  }).toEqual({ both: true, cookieAlone: false, keyAlone: false, ofTwo: false, nothing: false });
});

test('a visit lasts while it is used, and ends after eight idle hours', () => {
  const [used, idle] = [visit(), visit()];
  clock.advance(5 * HOUR_MS);
  expect(page.accepts(used)).toBeTrue();
  clock.advance(3 * HOUR_MS);
  expect([page.accepts(used), page.accepts(idle)]).toEqual([true, false]);
});

test('signing out ends that visit alone', () => {
  const [one, other] = [visit(), visit()];
  page.leave(one);
  expect([page.accepts(one), page.accepts(other)]).toEqual([false, true]);
});

test('of more links and visits than are kept, those go that were used longest ago', () => {
  const links = Array.from({ length: 17 }, () => page.newLink().code);
  expect(page.open(links[0] ?? '')).toBeUndefined();
  const visits = links.slice(1).map((code) => page.open(code));
  expect(visits.every((each) => each !== undefined && page.accepts(each))).toBeTrue();
  const [first, second] = visits;
  page.accepts(first ?? {});
  visit();
  expect([page.accepts(first ?? {}), page.accepts(second ?? {})]).toEqual([true, false]);
});
