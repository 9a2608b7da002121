import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessUsage } from '../core/ports.ts';

const OWN_STATUS = '/proc/self/status';
const OWN_FILES = '/proc/self/fd';
/** Anonymous pages (proc_pid_status(5)); a sum over all mappings would take a hundred times as long. */
const ANONYMOUS = /^RssAnon:\s*(\d+) kB$/m;

/** Reads what this process uses; in far less than a millisecond. */
export function processUsageReader(): () => ProcessUsage {
  const startedAtMs = Date.now() - process.uptime() * 1_000;
  const collections = collectionCounter();
  return () => {
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const [, anonymousKib = '0'] = ANONYMOUS.exec(readFileSync(OWN_STATUS, 'latin1')) ?? [];
    return {
      startedAtMs,
      cpuMs: (user + system) / 1_000,
      residentBytes: rss,
      privateBytes: Number(anonymousKib) * 1_024,
      heapBytes: heapUsed,
      openFiles: readdirSync(OWN_FILES).length,
      collections: collections(),
    };
  };
}

/** The runtime tells no number of collections: each ends an object that nobody holds, and makes the next one. */
function collectionCounter(): () => number {
  let seen = 0;
  const ended = new FinalizationRegistry(() => {
    seen += 1;
    ended.register({}, undefined);
  });
  ended.register({}, undefined);
  return () => seen;
}
