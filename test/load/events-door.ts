/** A door with a stream of events, as a process of its own: each line on its input adds so many, and is answered with what it holds. */
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { httpServer } from '../../src/server/doors.ts';
import { eventReaders } from '../../src/server/realtime/event-readers.ts';
import { eventRing } from '../../src/server/realtime/event-ring.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../support/no-kept-sockets.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { turn } from '../support/until.ts';

const RING_BYTES_MAX = 512 * 1024;
const READERS_MAX = 1_000;
/** Events between two turns of the event loop. */
const EVENTS_AT_ONCE = 5;
const TEXT = 'x'.repeat(1_000);

export interface Held {
  readonly rssBytes: number;
  readonly readers: number;
}

const [, , socketPath = ''] = process.argv;
const clock = systemClock;
const ring = eventRing({ clock }, RING_BYTES_MAX);
const log = memoryLog();
const readers = eventReaders({ clock, log, ring }, { name: 'load', readersMax: READERS_MAX });
const { signal } = new AbortController();
await readers.service.start(signal);
const server = httpServer(
  {
    ...{ clock, log, files: systemFiles('/'), kept: NO_KEPT_SOCKETS },
    sources: {
      ...NO_SOURCES,
      realtime: {
        ...NO_SOURCES.realtime,
        events: (query) => readers.open({ ...query, tail: 0, wants: () => true, greeting: {} }),
      },
    },
  },
  { port: 0, socketPath },
);
await server.start(signal);
let added = 0;
process.stdout.write('listening\n');
for await (const line of console) {
  for (let left = Number(line); left > 0; left -= 1) {
    ring.add('it', { n: added, text: TEXT });
    added += 1;
    if (left % EVENTS_AT_ONCE === 0) {
      await turn();
    }
  }
  Bun.gc(true);
  const held: Held = {
    rssBytes: process.memoryUsage.rss(),
    readers: readers.count(),
  };
  process.stdout.write(`${JSON.stringify(held)}\n`);
}
