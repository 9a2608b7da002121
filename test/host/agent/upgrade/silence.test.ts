import { expect, test } from 'bun:test';
import type { Exec, Files } from '../../../../src/core/ports.ts';
import { silenceWatch } from '../../../../src/host/agent/upgrade/silence.ts';

const PROCESSORS = 2;
const TICKS_A_SECOND = 100;

/** What happens in each second: shares of one processor that are free, that wait for a disk, that the daemon has. */
interface Second {
  readonly idle: number;
  readonly waiting?: number;
  readonly worked?: number;
}

/** @returns after how many seconds it is said to hang, and why; undefined when it never is */
async function judged(second: Second, options: { stat?: boolean } = {}) {
  const { idle, waiting = 0, worked = 0 } = second;
  let seconds = 0;
  const ticks = (share: number) => Math.round(share * (seconds + 1) * TICKS_A_SECOND);
  const stat = () => {
    const used = ticks(PROCESSORS - idle - waiting);
    const all = `cpu  ${used} 0 0 ${ticks(idle)} ${ticks(waiting)} 0 0 0 0 0`;
    return [all, 'cpu0 1 1 1 1 1 1 1 1 0 0', 'cpu1 1 1 1 1 1 1 1 1 0 0', 'intr 5'].join('\n');
  };
  const deps = {
    clock: { monotonic: () => seconds * 1_000 } as never,
    files: {
      readText: async () => (options.stat === false ? undefined : stat()),
    } as unknown as Files,
    exec: {
      run: async () => ({ stdout: `CPUUsageNSec=${worked * seconds * 1e9}\n`, exitCode: 0 }),
    } as unknown as Exec,
  };
  const look = silenceWatch(deps, 'x.service');
  for (; seconds <= 60; seconds += 1) {
    const why = await look();
    if (why !== undefined) {
      return { seconds, why };
    }
  }
  return undefined;
}

test('a silent daemon that could have worked is known to hang after 8 s', async () => {
  expect(await judged({ idle: 1.5 })).toEqual({
    seconds: 8,
    why: 'it neither answers nor works, and had 8 s for it',
  });
});

test.each([
  ['on a machine that is busy', { idle: 0.2 }],
  ['on a machine that waits for its disk', { idle: 1, waiting: 0.9 }],
])('%s nothing is known of it', async (_, second) => {
  expect(await judged(second)).toBeUndefined();
});

test('where the kernel does not tell, nothing is known of it', async () => {
  expect(await judged({ idle: 2 }, { stat: false })).toBeUndefined();
});

test('one that works is given 20 s of a processor', async () => {
  expect(await judged({ idle: 1, worked: 1 })).toEqual({
    seconds: 20,
    why: 'it does not answer, and has used a processor for 20 s',
  });
});
