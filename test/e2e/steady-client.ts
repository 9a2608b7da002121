/**
 * Asks the same all the time, whatever becomes of it: `steady-client EVERY_MS OUTPUT URL [TOKEN_FILE]`. At SIGTERM it
 * waits for what is under way, and writes what it has seen. It stands alone: it runs on machines, too, by the
 * runtime in the agent's executable.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** More than an upgrade takes. */
const ANSWER_MS_MAX = 60_000;
const LATE = 'Cannot reach Kubernetes at 127.0.0.1:6443: it did not answer in time';

export interface SteadyClientReport {
  readonly answered: number;
  /** How often each failure was seen; none when all went well. */
  readonly failures: Readonly<Record<string, number>>;
  /** What the agent has passed on, and Kubernetes did not answer in time: on a busy machine its API is slow. */
  readonly late: number;
  readonly longestMs: number;
}

const [, , everyMs = '', output = '', url = '', tokenFile] = process.argv;
const failures: Record<string, number> = {};
const underWay = new Set<Promise<void>>();
let answered = 0;
let late = 0;
let longestMs = 0;
let count = 0;

function ask(): void {
  count += 1;
  const begun = performance.now();
  const asked = outcome()
    .catch((error: unknown) => String(error))
    .then((failure) => {
      longestMs = Math.max(longestMs, performance.now() - begun);
      if (failure === undefined) {
        answered += 1;
      } else if (failure.includes(LATE)) {
        late += 1;
      } else {
        failures[failure] = (failures[failure] ?? 0) + 1;
      }
    })
    .finally(() => underWay.delete(asked));
  underWay.add(asked);
}

/** @returns what went wrong */
async function outcome(): Promise<string | undefined> {
  const headers: Record<string, string> =
    tokenFile === undefined
      ? {}
      : { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` };
  const response = await fetch(url, {
    headers,
    // Every other one over a connection of its own.
    keepalive: count % 2 === 0,
    // Whether it answers is asked here; kubectl-conformance checks the certificate of this door.
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const text = await response.text();
  return response.status === 200 ? undefined : `${response.status} ${text.slice(0, 200)}`;
}

const timer = setInterval(ask, Number(everyMs));
process.on('SIGTERM', async () => {
  clearInterval(timer);
  await Promise.all(underWay);
  const report: SteadyClientReport = { answered, failures, late, longestMs: Math.round(longestMs) };
  writeFileSync(output, JSON.stringify(report));
  process.exit(0);
});
