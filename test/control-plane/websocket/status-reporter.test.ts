import { describe, expect, test } from 'bun:test';
import { sessionPace } from '../../../src/control-plane/session/pace.ts';
import {
  REPORT_STEP_TIMEOUT_MS,
  statusReporter,
} from '../../../src/control-plane/websocket/status-reporter.ts';
import type { StatusReportPayload } from '../../../src/protocol/session/messages.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const PARTS = 5;
const INTERVAL_MS = 600_000;

/** A reporter of one report in five parts, on a link that takes `partMs` for each of them. */
function reporterOver(partMs: number) {
  const clock = manualClock();
  const log = memoryLog();
  const sent: number[] = [];
  let resets = 0;
  let freeAtMs = 0;
  async function* report(): AsyncGenerator<StatusReportPayload> {
    for (let part = 1; part <= PARTS; part += 1) {
      const head = { kind: 'full' as const, sequence: 1, part, parts: PARTS };
      const metrics = { cpu_usage: 0, memory_usage: 0, pod_count: 0, node_count: 0 };
      yield { ...head, changed: {}, removed: {}, metrics, timestamp: clock.now().toISOString() };
    }
  }
  const intervals = { heartbeatIntervalMs: INTERVAL_MS, statusIntervalMs: INTERVAL_MS };
  const pace = sessionPace({ random: seededRandom(1) }, intervals);
  const reporter = statusReporter(
    {
      clock,
      log,
      pace,
      status: {
        fullJson: () => Promise.reject(new Error('not used here')),
        summary: () => {
          throw new Error('not used here');
        },
        reports: () => ({
          next: async () => report(),
          reset: () => {
            resets += 1;
          },
        }),
      },
    },
    {
      send: () => {
        sent.push(clock.monotonic());
        freeAtMs = clock.monotonic() + partMs;
        return true;
      },
      bufferedBytes: () => (clock.monotonic() < freeAtMs ? 10 * 1024 * 1024 : 0),
    },
  );
  const stop = new AbortController();
  const done = reporter.run(stop.signal);
  return {
    clock,
    log,
    sent,
    resets: () => resets,
    /** Moves the time on from wait to wait until the next report would be due. */
    runReport: async () => {
      for (;;) {
        await clock.whenSleeping(1);
        await new Promise((resolve) => setImmediate(resolve));
        const [next = 0] = clock.remainingMs();
        if (next > REPORT_STEP_TIMEOUT_MS) {
          return;
        }
        clock.advance(next);
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

describe('statusReporter()', () => {
  test('sends a whole report over a link that takes minutes for it', async () => {
    const partMs = REPORT_STEP_TIMEOUT_MS - 1_000;
    await using reporter = reporterOver(partMs);
    await reporter.runReport();
    expect(reporter.sent).toHaveLength(PARTS);
    expect(reporter.sent.at(-1)).toBeGreaterThanOrEqual((PARTS - 1) * partMs);
    expect(reporter.resets()).toBe(0);
  });

  test('gives a report up whose parts do not leave, and begins anew with a full one', async () => {
    await using reporter = reporterOver(Number.POSITIVE_INFINITY);
    await reporter.runReport();
    expect({ sent: reporter.sent, resets: reporter.resets() }).toEqual({ sent: [0], resets: 1 });
    expect(reporter.log.entries.map(({ fields }) => fields['error_code'])).toEqual(['TIMEOUT']);
  });
});
