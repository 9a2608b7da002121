import { expect, test } from 'bun:test';
import { HELD_BYTES_MAX } from '../../src/yamux/session.ts';
import type { StreamHandler, YamuxStream } from '../../src/yamux/stream.ts';
import { manualClock } from '../support/manual-clock.ts';
import {
  frame,
  openRecorded,
  type RecordedStream,
  sessionPair,
  type TestSession,
  testSession,
  until,
  writeAll,
} from './session-pair.ts';

const WINDOW = 256 * 1024;

/** A client with one stream that the test, as its peer, has opened. */
async function withStream(
  options: Parameters<typeof testSession>[1] = {},
): Promise<TestSession & { readonly stream: YamuxStream; readonly recorded: RecordedStream }> {
  const client = testSession('client', options);
  client.session.receive(frame('window', ['syn'], 2, 0));
  const recorded = client.accepted[0];
  if (recorded === undefined) {
    throw new Error('It was not accepted');
  }
  await until(() => client.sent.length > 0);
  client.sent.length = 0;
  return { ...client, stream: recorded.stream, recorded };
}

test('both sides open streams, and each byte arrives in order in both directions', async () => {
  const { client, server } = sessionPair({});
  const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => (at * 7919) >> 8));
  const fromClient = openRecorded(client.session);
  const fromServer = openRecorded(server.session);
  await until(() => client.accepted.length === 1 && server.accepted.length === 1);
  const [atServer, atClient] = [server.accepted[0], client.accepted[0]];
  if (atServer === undefined || atClient === undefined) {
    throw new Error('Not accepted');
  }
  const streams = [fromClient, fromServer, atServer, atClient];
  await Promise.all(streams.map((stream) => writeAll(stream, content)));
  expect(await Promise.all(streams.map((each) => each.whenClosed))).toEqual(Array(4).fill('ended'));
  for (const { received } of streams) {
    expect(Buffer.concat(received).equals(content)).toBe(true);
  }
  expect([client.session.streamCount, server.session.streamCount]).toEqual([0, 0]);
  expect([client.session.heldBytes, client.ends, server.ends]).toEqual([0, [], []]);
});

test('10 000 streams are open at once and all end', async () => {
  const { client, server } = sessionPair({});
  const opened: RecordedStream[] = [];
  while (opened.length < 10_000) {
    // The backlog of streams that are not accepted yet has a limit.
    const before = opened.length;
    for (let count = 0; count < 250; count += 1) {
      opened.push(openRecorded(server.session));
    }
    await until(() => client.accepted.length === before + 250);
    await until(() => opened.at(-1)?.stream.accepted === true);
  }
  expect(client.session.streamCount).toBe(10_000);
  for (const { stream } of opened) {
    stream.write(Buffer.from('x'));
    stream.end();
  }
  await until(() => client.accepted.every(({ events }) => events.includes('ended')));
  for (const { stream } of client.accepted) {
    stream.end();
  }
  await Promise.all(opened.map((each) => each.whenClosed));
  expect([client.session.streamCount, server.session.streamCount]).toEqual([0, 0]);
});

test('a new stream is accepted at once, exactly once; a refused one is accepted and reset', async () => {
  const client = testSession('client');
  client.session.receive(frame('window', ['syn'], 2, 0));
  const refusing = testSession('client', { refuses: true });
  refusing.session.receive(frame('data', ['syn'], 2, 3, Buffer.from('abc')));
  await until(() => refusing.sent.length > 0);
  expect(client.frames()).toEqual(['window ack 2 0']);
  expect(refusing.frames()).toEqual(['window ack 2 0', 'window rst 2 0']);
  expect(refusing.ends).toEqual([]);
});

test('the opener waits for room in the backlog', () => {
  const server = testSession('server');
  for (let count = 0; count < 256; count += 1) {
    openRecorded(server.session);
  }
  expect(server.session.open(recordedHandler())).toBeUndefined();
  server.session.receive(frame('window', ['ack'], 2, 0));
  expect(server.session.open(recordedHandler())?.id).toBe(514);
});

function recordedHandler(): StreamHandler {
  const nothing = () => undefined;
  return { data: nothing, ended: nothing, writable: nothing, closed: nothing };
}

test('it sends as much as the window allows, and goes on with the next credit', async () => {
  const client = await withStream();
  const bytes = Buffer.alloc(WINDOW + 1_000, 7);
  expect(client.stream.write(bytes)).toBe(WINDOW);
  expect(client.stream.write(bytes)).toBe(0);
  expect(client.recorded.events).toEqual([]);
  client.session.receive(frame('window', [], 2, 400));
  expect(client.recorded.events).toEqual(['writable']);
  expect(client.stream.write(bytes.subarray(0, 1_000))).toBe(400);
});

test('it gives credit only for bytes that were given back', async () => {
  const client = await withStream({ holds: true });
  client.session.receive(frame('data', [], 2, WINDOW, Buffer.alloc(WINDOW)));
  expect(client.session.heldBytes).toBe(WINDOW);
  client.stream.consumed(WINDOW / 2 - 1);
  client.stream.consumed(1);
  await until(() => client.sent.length > 0);
  expect(client.frames()).toEqual([`window 2 ${WINDOW / 2}`]);
  expect(client.session.heldBytes).toBe(WINDOW / 2);
});

test('half-close: the other direction goes on', async () => {
  const client = await withStream();
  client.session.receive(frame('window', ['fin'], 2, 0));
  expect(client.recorded.events).toEqual(['ended']);
  expect(client.stream.write(Buffer.from('still'))).toBe(5);
  client.stream.end();
  client.stream.end();
  await until(() => client.sent.length > 0);
  expect(client.frames()).toEqual(['data 2 5', 'window fin 2 0']);
  expect(client.recorded.events).toEqual(['ended', 'closed ended']);
});

test('the last bytes come before the end that is in the same frame', async () => {
  const client = await withStream();
  client.session.receive(frame('data', ['fin'], 2, 4, Buffer.from('la')));
  expect(client.recorded.events).toEqual([]);
  client.session.receive(Buffer.from('st'));
  expect(Buffer.concat(client.recorded.received).toString()).toBe('last');
  expect(client.recorded.events).toEqual(['ended']);
});

test('a reset ends both directions, and late frames of the stream are let pass', async () => {
  const client = await withStream();
  client.session.receive(frame('window', ['rst'], 2, 0));
  client.session.receive(frame('data', [], 2, 5, Buffer.from('late!')));
  client.session.receive(frame('window', ['fin'], 2, 100));
  expect(client.recorded.events).toEqual(['closed reset']);
  expect([client.ends, client.session.streamCount]).toEqual([[], 0]);
});

test('bytes after the end cost the stream, not the session', async () => {
  const client = await withStream();
  client.session.receive(frame('window', ['fin'], 2, 0));
  client.session.receive(frame('data', [], 2, 4, Buffer.from('more')));
  await until(() => client.sent.length > 0);
  expect(client.recorded.events).toEqual(['ended', 'closed reset']);
  expect([client.frames(), client.ends]).toEqual([['window rst 2 0'], []]);
});

test.each([
  [
    'more than the window',
    frame('data', [], 2, WINDOW + 1),
    'stream 2 was sent more than its window',
  ],
  [
    'a window that overflows',
    frame('window', [], 2, 0xffffffff),
    'the window of stream 2 overflows',
  ],
  ['the same stream again', frame('window', ['syn'], 2, 0), 'stream 2 cannot be opened'],
  ['a stream id of ours', frame('window', ['syn'], 3, 0), 'stream 3 cannot be opened'],
  ['stream 0', frame('window', ['syn'], 0, 0), 'stream 0 cannot be opened'],
  ['another version', Buffer.alloc(12, 9), 'what came is no frame of yamux'],
])('%s ends the session, and the peer is told', async (_, bytes, reason) => {
  const client = await withStream();
  client.session.receive(bytes);
  expect([client.ends, client.recorded.events]).toEqual([[reason], ['closed session']]);
  expect(client.frames()).toEqual(['go away 0 1']);
  client.session.receive(frame('window', ['syn'], 4, 0));
  expect(client.accepted).toHaveLength(1);
});

test('a ping is answered with its number', async () => {
  const client = testSession('client');
  client.session.receive(frame('ping', ['syn'], 0, 4711));
  client.session.receive(frame('ping', ['ack'], 0, 12));
  await until(() => client.sent.length > 0);
  expect(client.frames()).toEqual(['ping ack 0 4711']);
});

test('go-away: no new streams in that direction, open ones go on', async () => {
  const { client, server } = sessionPair({});
  const before = openRecorded(server.session);
  await until(() => client.accepted.length === 1);
  client.session.goAway();
  client.session.goAway();
  await until(() => client.frames().includes('go away 0 0'));
  client.session.receive(frame('window', ['syn'], 1_000, 0));
  await until(() => client.frames().at(-1) === 'window rst 1000 0');
  await until(() => server.session.open(recordedHandler()) === undefined);
  before.stream.write(Buffer.from('on'));
  await until(() => client.accepted[0]?.received.length === 1);
  expect([client.ends, server.ends]).toEqual([[], []]);
});

test('a go-away for an error ends the session', () => {
  const client = testSession('client');
  client.session.receive(frame('go away', [], 0, 2));
  expect(client.ends).toEqual(['the peer goes away with code 2']);
});

test('what all streams together hold is bounded: the one that holds most is reset', async () => {
  const client = testSession('client', { holds: true });
  const piece = Buffer.alloc(WINDOW - 1_000);
  const count = Math.ceil(HELD_BYTES_MAX / piece.length) + 1;
  for (let id = 2; id <= 2 * count; id += 2) {
    client.session.receive(frame('window', ['syn'], id, 0));
    const size = piece.length + (id === 6 ? 1_000 : 0);
    client.session.receive(frame('data', [], id, size, Buffer.alloc(size)));
  }
  expect(client.session.heldBytes).toBeLessThanOrEqual(HELD_BYTES_MAX);
  const reset = client.accepted.filter(({ events }) => events.length > 0);
  expect(reset.map(({ stream, events }) => [stream.id, events])).toContainEqual([
    6,
    ['closed reset'],
  ]);
  expect(client.ends).toEqual([]);
});

test('a stream that is over but whose target still holds bytes can be made to let go', async () => {
  const client = await withStream({ holds: true });
  client.session.receive(frame('data', ['fin'], 2, 10, Buffer.alloc(10)));
  client.stream.end();
  expect([client.session.heldBytes, client.recorded.events]).toEqual([
    10,
    ['ended', 'closed ended'],
  ]);
  client.stream.reset();
  client.stream.reset();
  expect([client.session.heldBytes, client.recorded.events]).toEqual([
    0,
    ['ended', 'closed ended', 'closed reset'],
  ]);
});

test('a silent peer is asked whether it is there, and is gone without an answer', async () => {
  const clock = manualClock();
  const client = testSession('client', { clock });
  const stop = new AbortController();
  const running = client.session.run(stop.signal);
  client.session.receive(frame('ping', ['ack'], 0, 1));
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 2_500) {
      await clock.whenSleeping(1);
      clock.advance(2_500);
    }
  };
  await pass(32_500);
  await until(() => client.frames().length === 2);
  expect([client.frames(), client.ends]).toEqual([['ping syn 0 1', 'ping syn 0 2'], []]);
  await pass(7_500);
  await running;
  expect(client.ends).toEqual(['the peer answers no ping']);
});

test('a peer that reads nothing is given up before it fills the memory', async () => {
  let buffered = 0;
  const client = testSession('client', { buffered: () => buffered });
  client.session.receive(frame('ping', ['syn'], 0, 1));
  await until(() => client.sent.length === 1);
  buffered = 33 * 1024 * 1024;
  client.session.receive(frame('ping', ['syn'], 0, 2));
  await until(() => client.ends.length > 0);
  expect(client.ends).toEqual(['the peer reads nothing']);
});

test('bulk waits when enough is on its way, and a keystroke passes it', async () => {
  const client = await withStream();
  for (const id of [4, 6, 8, 10, 12]) {
    client.session.receive(frame('window', ['syn'], id, 0));
  }
  const bulk = client.accepted.slice(0, 5);
  const shell = client.accepted[5];
  const taken = bulk.map(({ stream }) => stream.write(Buffer.alloc(WINDOW)));
  expect(taken).toEqual([WINDOW, WINDOW, WINDOW, WINDOW, 0]);
  expect(shell?.stream.write(Buffer.from('k'))).toBe(1);
  expect(shell?.stream.write(Buffer.alloc(4_096))).toBe(0);
  // Only what the peer has read makes room; each has its turn.
  client.session.receive(frame('ping', ['ack'], 0, 1));
  expect(bulk.map(({ events }) => events)).toEqual([[], [], [], [], ['writable']]);
  expect(shell?.events).toEqual(['writable']);
});

test('many small frames leave as one message, and a large payload with those before it', async () => {
  const client = await withStream();
  for (let count = 0; count < 100; count += 1) {
    client.stream.write(Buffer.from('small'));
  }
  client.stream.write(Buffer.alloc(20_000));
  await until(() => client.sent.length >= 1);
  expect(client.sent.map(({ length }) => length)).toEqual([100 * 17 + 12 + 20_000]);
});
