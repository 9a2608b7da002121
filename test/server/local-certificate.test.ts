/** The certificate of the TLS listener: kept, unless the clock says that nobody would take it. */
import { expect, test } from 'bun:test';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { localCertificate } from '../../src/server/local-certificate.ts';
import { memoryLog } from '../support/memory-log.ts';
import { memoryDirectory } from '../support/temp-dir.ts';

const DAY_MS = 24 * 3_600_000;

test.each([
  ['the next day', 1, true],
  ['within its last 90 days', 3_600, false],
  ['a month before it was made, as the clock was ahead then', -31, false],
])('%s', async (_, days, isKept) => {
  await using root = await memoryDirectory();
  const now = Date.now();
  const on = (day: number) =>
    localCertificate(
      {
        clock: { ...systemClock, now: () => new Date(now + day * DAY_MS) },
        random: systemRandom,
        files: systemFiles(root.path),
        log: memoryLog(),
      },
      '/local-tls.pem',
    );
  const first = await on(0);
  const next = await on(days);
  expect(next.certificate === first.certificate).toBe(isKept);
});
