import { describe, expect, test } from 'bun:test';
import {
  afterwards,
  childSignal,
  isTimeOver,
  pollUntil,
  settledWithin,
  timeLimit,
  withDeadline,
  within,
} from '../../src/core/waiting.ts';
import { manualClock } from '../support/manual-clock.ts';

/** Work that never ends by itself, and says how it was told to. */
function untilAborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const tell = () => resolve(isTimeOver(signal) ? 'time over' : 'aborted');
    signal.addEventListener('abort', tell);
    if (signal.aborted) {
      tell();
    }
  });
}

describe('within()', () => {
  test('gives back what the work gives, and leaves no timer', async () => {
    const clock = manualClock();
    expect(await within(clock, 5_000, undefined, async () => 'done')).toBe('done');
    await Promise.resolve();
    expect(clock.remainingMs()).toEqual([]);
  });

  test('throws what the work throws, and leaves no timer', async () => {
    const clock = manualClock();
    const failing = within(clock, 5_000, undefined, () => Promise.reject(new Error('broken')));
    expect(await failing.catch(({ message }: Error) => message)).toBe('broken');
    expect(clock.remainingMs()).toEqual([]);
  });

  test('tells the work that the time is over', async () => {
    const clock = manualClock();
    const told = within(clock, 5_000, new AbortController().signal, untilAborted);
    clock.advance(4_999);
    expect(clock.remainingMs()).toEqual([1]);
    clock.advance(1);
    expect(await told).toBe('time over');
  });

  test('tells the work that its parent aborted, with the reason of the parent', async () => {
    const clock = manualClock();
    const parent = new AbortController();
    const told = within(clock, 5_000, parent.signal, untilAborted);
    parent.abort();
    expect(await told).toBe('aborted');
    const late = timeLimit(clock, 1_000, undefined);
    const below = within(clock, 5_000, late.signal, untilAborted);
    clock.advance(1_000);
    expect(await below).toBe('time over');
  });

  test('begins aborted below a parent that aborted', async () => {
    expect(await within(manualClock(), 5_000, AbortSignal.abort(), untilAborted)).toBe('aborted');
  });

  test('is over for a request of the runtime, too, with words of ours', async () => {
    const clock = manualClock();
    const silent = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => undefined) });
    const asked = within(clock, 5_000, undefined, (signal) => fetch(silent.url, { signal }));
    clock.advance(5_000);
    const thrown = await asked.catch((error: unknown) => error);
    await silent.stop(true);
    expect((thrown as Error).name).toBe('TimeoutError');
  });
});

describe('withDeadline()', () => {
  const limit = { what: 'The call', ms: 2_000 };
  const never = () => new Promise<never>(() => undefined);

  test('does not wait longer for work that ignores its signal', async () => {
    const clock = manualClock();
    const ended = withDeadline(clock, limit, undefined, never).catch((error: unknown) => error);
    clock.advance(2_000);
    expect(await ended).toMatchObject({ code: 'TIMEOUT', message: 'The call took more than 2 s' });
  });

  test('does not wait for it once the signal aborts', async () => {
    const parent = new AbortController();
    const ended = withDeadline(manualClock(), limit, parent.signal, never).catch(
      (error: unknown) => error,
    );
    parent.abort();
    expect(await ended).toMatchObject({
      code: 'INTERRUPTED',
      message: 'The call was interrupted',
    });
  });

  test('gives back what came in time, and leaves no timer', async () => {
    const clock = manualClock();
    expect(await withDeadline(clock, limit, undefined, async () => 7)).toBe(7);
    expect(clock.remainingMs()).toEqual([]);
  });
});

describe('settledWithin()', () => {
  test('says whether it came in time', async () => {
    const clock = manualClock();
    expect(await settledWithin(clock, 1_000, undefined, Promise.resolve())).toBe(true);
    const late = settledWithin(clock, 1_000, undefined, new Promise(() => undefined));
    clock.advance(1_000);
    expect(await late).toBe(false);
    const aborted = AbortSignal.abort();
    expect(await settledWithin(clock, 1_000, aborted, new Promise(() => undefined))).toBe(false);
  });

  test('throws what it rejects with in time; what it rejects with later is nobody’s', async () => {
    const clock = manualClock();
    const broken = settledWithin(clock, 1_000, undefined, Promise.reject(new Error('broken')));
    expect(await broken.catch(({ message }: Error) => message)).toBe('broken');
    const later = Promise.withResolvers<void>();
    const late = settledWithin(clock, 1_000, undefined, later.promise);
    clock.advance(1_000);
    expect(await late).toBe(false);
    later.reject(new Error('too late'));
    await Promise.resolve();
  });
});

describe('afterwards()', () => {
  test('calls after the time, and not once its signal aborted', () => {
    const clock = manualClock();
    const calls: string[] = [];
    const over = new AbortController();
    afterwards(clock, 1_000, new AbortController().signal, () => calls.push('first'));
    afterwards(clock, 1_000, over.signal, () => calls.push('second'));
    over.abort();
    clock.advance(1_000);
    return Promise.resolve().then(() => expect(calls).toEqual(['first']));
  });
});

describe('childSignal()', () => {
  test('ends with its parent or by itself, and then lets go of the parent', () => {
    const parent = new AbortController();
    const [first, second] = [childSignal(parent.signal), childSignal(parent.signal)];
    first.end();
    expect([first.signal.aborted, second.signal.aborted]).toEqual([true, false]);
    parent.abort(new Error('the reason'));
    expect(second.signal.reason).toEqual(new Error('the reason'));
  });
});

describe('pollUntil()', () => {
  const pace = { everyMs: 400, limitMs: 1_000 };

  test('looks at once, then after each pause, until it finds', async () => {
    const clock = manualClock();
    const looks: number[] = [];
    const end = pollUntil(clock, pace, undefined, async () => {
      looks.push(clock.monotonic());
      return looks.length === 3 ? { found: 'it' } : { soFar: looks.length };
    });
    for (let round = 0; round < 2; round += 1) {
      await clock.whenSleeping(1);
      clock.advance(400);
    }
    expect(await end).toEqual({ kind: 'found', found: 'it' });
    expect(looks).toEqual([0, 400, 800]);
  });

  test('looks for the last time when the time is over, and gives what it saw then', async () => {
    const clock = manualClock();
    const looks: number[] = [];
    const end = pollUntil(clock, pace, undefined, async () => {
      looks.push(clock.monotonic());
      return { soFar: `look ${looks.length}` };
    });
    for (const ms of [400, 400, 200]) {
      await clock.whenSleeping(1);
      clock.advance(ms);
    }
    expect(await end).toEqual({ kind: 'late', soFar: 'look 4' });
    expect(looks).toEqual([0, 400, 800, 1_000]);
  });

  test('ends at the signal with what it saw', async () => {
    const clock = manualClock();
    const over = new AbortController();
    const end = pollUntil(clock, pace, over.signal, async () => ({ soFar: 'nothing' }));
    await clock.whenSleeping(1);
    over.abort();
    expect(await end).toEqual({ kind: 'aborted', soFar: 'nothing' });
  });

  test('looks once where there is no time, and throws what a look throws', async () => {
    const clock = manualClock();
    const once = pollUntil(clock, { everyMs: 400, limitMs: 0 }, undefined, async () => ({
      soFar: 1,
    }));
    expect(await once).toEqual({ kind: 'late', soFar: 1 });
    const broken = pollUntil(clock, pace, undefined, () => Promise.reject(new Error('broken')));
    expect(await broken.catch(({ message }: Error) => message)).toBe('broken');
  });
});
