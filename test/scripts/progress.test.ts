/** What people see while machines are prepared and the demo runs. */
import { expect, test } from 'bun:test';
import { reportProgress, type Screen, showProgress } from '../vm/progress.ts';
import { timeLeft } from '../vm/time-left.ts';

const ESC = String.fromCharCode(0x1b);
const RED = `${ESC}[31m`;

/** Up so many rows and clear what is below; or the end of a row. */
const ERASE_OR_LINE = new RegExp(`(${ESC}\\[\\d+F${ESC}\\[J|\n)`);

/** A terminal that knows the two sequences that are used, and time that the test moves on. */
function fakeScreen(columns: number | undefined) {
  let nowMs = 0;
  const timers = new Set<{ readonly ms: number; readonly work: () => void; dueMs: number }>();
  let written = '';
  const screen: Screen = {
    write: (text) => {
      written += text;
    },
    columns: () => columns,
    now: () => nowMs,
    every: (ms, work) => {
      const timer = { ms, work, dueMs: nowMs + ms };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  return {
    screen,
    timers,
    written: () => written,
    pass: (ms: number) => {
      for (let passed = 0; passed < ms; passed += 100) {
        nowMs += 100;
        for (const timer of timers) {
          if (nowMs >= timer.dueMs) {
            timer.dueMs += timer.ms;
            timer.work();
          }
        }
      }
    },
    shown: () => {
      const rows: string[] = [];
      for (const part of written.split(ERASE_OR_LINE)) {
        const up = /\[(\d+)F/.exec(part)?.[1];
        if (up !== undefined) {
          rows.splice(rows.length - Number(up));
        } else if (part !== '' && part !== '\n') {
          rows.push(Bun.stripANSI(part));
        }
      }
      return rows;
    },
  };
}

test('on a terminal, phases are there when they begin, and their time passes', async () => {
  const { screen, shown, pass, timers } = fakeScreen(40);
  const progress = showProgress('demo', screen);
  const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let tell: (news: string) => void = () => undefined;
  const first = progress.phase('build', async (say) => {
    tell = say;
    await one.promise;
  });
  const second = progress.phase('boot', () => two.promise);
  expect(shown()).toEqual(['… build  0 s', '… boot  0 s']);
  tell('42 %, about 3 min left');
  pass(65_000);
  expect(shown()).toEqual(['… build  1 min 5 s  42 %, about 3 min …', '… boot  1 min 5 s']);
  two.resolve();
  await second;
  expect(shown()).toEqual(['✓ boot (1 min 5 s)', '… build  1 min 5 s  42 %, about 3 min …']);
  one.reject(new Error('no'));
  await expect(first).rejects.toThrow('no');
  expect(shown()).toEqual(['✓ boot (1 min 5 s)', '✗ build failed (1 min 5 s)']);
  expect(timers.size).toBe(0);
});

test('only what failed is red', async () => {
  const { screen, written } = fakeScreen(40);
  const progress = showProgress('demo', screen);
  await progress.phase('build', async () => undefined);
  expect(written()).not.toContain(RED);
  await progress.phase('boot', () => Promise.reject(new Error('no'))).catch(() => undefined);
  expect(written().split(RED)).toHaveLength(2);
});

test.each([showProgress, reportProgress])(
  'elsewhere each line stays: at the beginning, now and then, at the end',
  async (make) => {
    const { screen, written, pass } = fakeScreen(undefined);
    const gate = Promise.withResolvers<void>();
    const running = make('prepare', screen).phase('k3s', async (tell) => {
      tell('42 %, about 3 min left');
      await gate.promise;
    });
    pass(31_000);
    gate.resolve();
    await running;
    expect(written().split('\n')).toEqual([
      '[   0.0 s] prepare: k3s …',
      '[  30.0 s] prepare: k3s: 42 %, about 3 min left (30.0 s)',
      '[  31.0 s] prepare: k3s (31.0 s)',
      '',
    ]);
  },
);

test.each([
  [0, 60_000, '0 %'],
  [0.5, 1_000, '50 %'],
  [0.1, 30_000, '10 %, about 5 min left'],
  [0.5, 62_000, '50 %, about 65 s left'],
  [0.999, 60_000, '99 %, about 5 s left'],
  [1, 60_000, '99 %, about 5 s left'],
])('%d of it in %d ms: %s', (share, elapsedMs, said) => {
  expect(timeLeft(share, elapsedMs)).toBe(said);
});
