import { beforeEach, expect, test } from 'bun:test';
import { REFUSALS_MAX, type Refusals, rememberedRefusals } from '../../src/policy/refusals.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

const REFUSED = { allowed: false, rule: 'standard/exec', reason: 'Nobody may' } as const;

let clock: ManualClock;
let refusals: Refusals;
beforeEach(() => {
  clock = manualClock();
  refusals = rememberedRefusals({ clock });
});

test('the same refusal is told once, with how often and when it came', () => {
  const first = clock.now().toISOString();
  refusals.note('command', 'exec in default', REFUSED);
  clock.advance(60_000);
  refusals.note('request', 'GET /', REFUSED);
  refusals.note('command', 'exec in default', REFUSED);
  const last = clock.now().toISOString();
  const told = { rule: 'standard/exec', reason: 'Nobody may', last_at: last };
  expect(refusals.rows()).toEqual([
    { kind: 'command', about: 'exec in default', ...told, first_at: first, times: 2 },
    { kind: 'request', about: 'GET /', ...told, first_at: last, times: 1 },
  ]);
});

test('the ones that came last are remembered, and no more than so many', () => {
  for (let index = 0; index <= REFUSALS_MAX; index += 1) {
    refusals.note('request', `GET /${index}`, REFUSED);
  }
  const rows = refusals.rows();
  expect([rows.length, rows[0]?.about, rows.at(-1)?.about]).toEqual([
    REFUSALS_MAX,
    `GET /${REFUSALS_MAX}`,
    'GET /1',
  ]);
});

test('what was asked for is cut, and what looks like a secret is hidden', () => {
  refusals.note('request', `GET /ghp_${'a1B2'.repeat(9)}/${'x'.repeat(1_000)}`, REFUSED);
  const about = refusals.rows()[0]?.about ?? '';
  expect([about.length, about.startsWith('GET /[redacted]')]).toEqual([300, true]);
});
