/** How a ring of events is read: by whom, from where on, and for how long. */
import { beforeEach, expect, test } from 'bun:test';
import type { StreamCall, StreamSink } from '../../../src/server/api/stream.ts';
import { type ReadRequest, STALLED_MS } from '../../../src/server/realtime/event-reader.ts';
import {
  type EventReaders,
  eventReaders,
  HEARTBEAT_MS,
} from '../../../src/server/realtime/event-readers.ts';
import {
  type EventRing,
  eventRing,
  RING_EVENTS_MAX,
} from '../../../src/server/realtime/event-ring.ts';
import { eventsIn } from '../../support/event-stream.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { type MemoryLog, memoryLog } from '../../support/memory-log.ts';

const RING_BYTES_MAX = 64 * 1024;

let clock: ManualClock;
let log: MemoryLog;
let ring: EventRing;
let readers: EventReaders;
let stop: AbortController;
let done: Promise<void>;
beforeEach(async () => {
  clock = manualClock();
  log = memoryLog();
  ring = eventRing({ clock }, RING_BYTES_MAX);
  readers = eventReaders({ clock, log, ring }, { name: 'tested', readersMax: 3 });
  stop = new AbortController();
  done = (await readers.service.start(stop.signal)).done;
});

/** A caller that takes so many pieces, and then no more until it is asked to go on. */
function caller(takes = Number.POSITIVE_INFINITY) {
  const seen = { text: '', state: 'open' as 'open' | 'ended' | 'broken', takes };
  const sink: StreamSink = {
    write: (bytes) => {
      seen.text += bytes.toString();
      seen.takes -= 1;
      return seen.takes > 0;
    },
    end: () => {
      seen.state = 'ended';
    },
    break: () => {
      seen.state = 'broken';
    },
  };
  const call: { it: StreamCall | undefined } = { it: undefined };
  return Object.assign(seen, {
    read: (more: Partial<ReadRequest> = {}) => {
      call.it = readers.open({ ...READ, ...more }).begin(sink);
    },
    goOn: (count = Number.POSITIVE_INFINITY) => {
      seen.takes = count;
      call.it?.room();
    },
    leave: () => call.it?.gone(),
    /** Names, and what is in the events of the tests. */
    told: () =>
      eventsIn(seen.text).map(({ event, data }) =>
        event === 'it' ? (data as { readonly n: number }).n : event,
      ),
  });
}

const READ: ReadRequest = {
  ...{ lastId: undefined, tail: 0, follow: true, wants: () => true, greeting: {} },
};

const add = (...numbers: readonly number[]) => {
  for (const n of numbers) {
    ring.add('it', { n }, n);
  }
};

test('who begins gets what comes from then on, and so much of before as it asks for', () => {
  add(1, 2, 3);
  const [plain, tail] = [caller(), caller()];
  plain.read();
  tail.read({ tail: 2 });
  add(4);
  expect(plain.told()).toEqual(['connected', 4]);
  expect(tail.told()).toEqual(['connected', 2, 3, 4]);
});

test('who wants only some gets those, and its tail counts only them', () => {
  add(1, 9, 2, 9, 3);
  const some = caller();
  some.read({ tail: 2, wants: (rank) => rank < 9 });
  add(9, 4);
  expect(some.told()).toEqual(['connected', 2, 3, 4]);
});

test('who comes back goes on behind the event that it names', () => {
  add(1);
  const lastId = ring.idOf(ring.end());
  add(2, 3);
  const reader = caller();
  reader.read({ lastId });
  expect(reader.told()).toEqual(['connected', 2, 3]);
  const ids = [...reader.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
  expect(ids).toEqual([lastId, ring.idOf(ring.end() - 1), ring.idOf(ring.end())]);
});

test.each([
  ['of another start of the agent', () => 'other-3', 'restarted'],
  ['that is none', () => '', 'restarted'],
  ['that has not been', () => ring.idOf(ring.end() + 1), 'restarted'],
  ['of what is no longer kept', () => ring.idOf(1), 'forgotten'],
])('an id %s is answered with a gap', (_, lastId, reason) => {
  for (let n = 0; n < RING_EVENTS_MAX + 1; n += 1) {
    add(n);
  }
  const reader = caller();
  reader.read({ lastId: lastId(), follow: false });
  const [first, gap, oldest] = reader.told();
  expect([first, gap, oldest]).toEqual(['connected', 'gap', 1]);
  expect(eventsIn(reader.text)[1]?.data).toMatchObject({ reason });
});

test('what was cleared is a gap, even where nothing came since', () => {
  add(1);
  const lastId = ring.idOf(ring.end());
  ring.clear();
  const reader = caller();
  reader.read({ lastId });
  add(2);
  expect(reader.told()).toEqual(['connected', 'gap', 2]);
});

test('all events together have a limit in bytes; the newest one stays whatever its length', () => {
  const text = 'x'.repeat(RING_BYTES_MAX / 4);
  for (let n = 0; n < 6; n += 1) {
    ring.add('it', { n, text });
  }
  expect(ring.end() - ring.oldest()).toBe(3);
  ring.add('it', { n: 7, text: 'x'.repeat(2 * RING_BYTES_MAX) });
  expect(ring.end() - ring.oldest()).toBe(1);
});

test('who does not follow is at its end when all is sent', () => {
  add(1);
  const reader = caller();
  reader.read({ tail: 5, follow: false });
  expect([reader.told(), reader.state, readers.count()]).toEqual([['connected', 1], 'ended', 0]);
});

test('who takes no more gets the rest when it takes again, and nothing twice', () => {
  const reader = caller(4);
  reader.read();
  add(1, 2, 3, 4);
  expect(reader.told()).toEqual(['connected', 1, 2]);
  reader.goOn(1);
  expect(reader.told()).toEqual(['connected', 1, 2, 3]);
  reader.goOn();
  expect(reader.told()).toEqual(['connected', 1, 2, 3, 4]);
});

test('who falls out of the ring is dropped with a code, and once', () => {
  const reader = caller(3);
  reader.read();
  for (let n = 0; n < RING_EVENTS_MAX + 2; n += 1) {
    add(n);
  }
  expect(reader.told()).toEqual(['connected', 0]);
  reader.goOn();
  expect(reader.told()).toEqual(['connected', 0, 'end']);
  expect(eventsIn(reader.text).at(-1)?.data).toMatchObject({ code: 'READER_TOO_SLOW' });
  expect([reader.state, readers.count()]).toEqual(['ended', 0]);
  expect(log.entries.map(({ fields }) => fields)).toEqual([
    { stream: 'tested', error_code: 'READER_TOO_SLOW' },
  ]);
  reader.goOn();
  expect(reader.told()).toEqual(['connected', 0, 'end']);
});

test('who takes nothing for long is broken off; the others hear a heartbeat', async () => {
  const [stalled, quick] = [caller(2), caller()];
  stalled.read();
  quick.read();
  for (let ms = 0; ms < STALLED_MS; ms += HEARTBEAT_MS) {
    expect(stalled.state).toBe('open');
    await clock.whenSleeping(1);
    clock.advance(HEARTBEAT_MS);
  }
  await clock.whenSleeping(1);
  expect([stalled.state, quick.state, readers.count()]).toEqual(['broken', 'open', 1]);
  expect(quick.text.match(/^: heartbeat\n\n/gm)).toHaveLength(2);
});

test('there is no room for more than the limit, until one has gone', () => {
  const all = [caller(), caller(), caller()];
  for (const each of all) {
    each.read();
  }
  expect(() => caller().read()).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }));
  all[0]?.leave();
  add(1);
  caller().read();
  expect(all.map((each) => each.told())).toEqual([
    ['connected'],
    ['connected', 1],
    ['connected', 1],
  ]);
});

test('at the stop each is told so, and nobody may begin', async () => {
  const reader = caller();
  reader.read();
  stop.abort();
  await done;
  expect([reader.told(), reader.state]).toEqual([['connected', 'end'], 'ended']);
  expect(() => caller().read()).toThrow(expect.objectContaining({ code: 'SHUTTING_DOWN' }));
});
