/** Two sessions that are connected in memory, or one whose peer is the test itself. */
import type { Clock } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { readFrameHeader, writeFrameHeader } from '../../src/yamux/frame.ts';
import { YamuxSession } from '../../src/yamux/session.ts';
import type { StreamEnd, StreamHandler, YamuxStream } from '../../src/yamux/stream.ts';

export const SESSION_OPTIONS = {
  windowLimitBytes: 1024 * 1024,
  keepAliveMs: 30_000,
  answerTimeoutMs: 10_000,
};

/** What became of a stream, and what it was sent. */
export interface RecordedStream extends StreamHandler {
  readonly stream: YamuxStream;
  readonly received: Buffer[];
  /** `ended`, `closed ended` … in the order they happened. */
  readonly events: string[];
  readonly whenClosed: Promise<StreamEnd>;
}

/** @param options.holds keeps what comes, as a stalled target does */
export function recordedStream(
  stream: YamuxStream,
  options: { readonly holds?: boolean } = {},
): RecordedStream {
  const { promise, resolve } = Promise.withResolvers<StreamEnd>();
  const received: Buffer[] = [];
  const events: string[] = [];
  return {
    stream,
    received,
    events,
    whenClosed: promise,
    data: (bytes) => {
      received.push(Buffer.from(bytes));
      if (options.holds !== true) {
        stream.consumed(bytes.length);
      }
    },
    ended: () => void events.push('ended'),
    writable: () => void events.push('writable'),
    closed: (end) => {
      events.push(`closed ${end}`);
      resolve(end);
    },
  };
}

/** Opens a stream and records it. */
export function openRecorded(session: YamuxSession): RecordedStream {
  let recorded: RecordedStream | undefined;
  const stream = session.open({
    data: (bytes) => recorded?.data(bytes),
    ended: () => recorded?.ended(),
    writable: () => recorded?.writable(),
    closed: (end) => recorded?.closed(end),
  });
  if (stream === undefined) {
    throw new Error('The session opens no stream');
  }
  recorded = recordedStream(stream);
  return recorded;
}

export interface TestSession {
  readonly session: YamuxSession;
  /** Streams that the peer opened. */
  readonly accepted: RecordedStream[];
  /** Why it ended by itself. */
  readonly ends: string[];
  /** Messages that it sent. */
  readonly sent: Buffer[];
  /** The same as frames: `window syn 2 0`, `data 2 5`. */
  frames(): readonly string[];
}

export interface TestSessionOptions {
  readonly clock?: Clock;
  readonly holds?: boolean;
  readonly refuses?: boolean;
  readonly deliver?: (message: Buffer) => void;
  readonly buffered?: () => number;
}

export function testSession(
  role: 'client' | 'server',
  options: TestSessionOptions = {},
): TestSession {
  const accepted: RecordedStream[] = [];
  const ends: string[] = [];
  const sent: Buffer[] = [];
  const session = new YamuxSession(
    {
      clock: options.clock ?? systemClock,
      runSoon: systemRunSoon,
      transport: {
        send: (parts) => {
          const copy = Buffer.concat(parts);
          sent.push(copy);
          options.deliver?.(copy);
          return true;
        },
        bufferedBytes: options.buffered ?? (() => 0),
      },
      accept: (stream) => {
        if (options.refuses === true) {
          return undefined;
        }
        const recorded = recordedStream(stream, options);
        accepted.push(recorded);
        return recorded;
      },
      ended: (reason) => void ends.push(reason),
    },
    { role, ...SESSION_OPTIONS },
  );
  return { session, accepted, ends, sent, frames: () => describeFrames(Buffer.concat(sent)) };
}

/** A client and a server; messages arrive a turn of the event loop later. */
export function sessionPair(options: {
  readonly client?: TestSessionOptions;
  readonly server?: TestSessionOptions;
}): { readonly client: TestSession; readonly server: TestSession } {
  const client = testSession('client', {
    ...options.client,
    deliver: (message) => systemRunSoon(() => server.session.receive(message)),
  });
  const server = testSession('server', {
    ...options.server,
    deliver: (message) => systemRunSoon(() => client.session.receive(message)),
  });
  return { client, server };
}

const TYPES = ['data', 'window', 'ping', 'go away'] as const;
const FLAGS = ['syn', 'ack', 'fin', 'rst'] as const;

/** Bytes of a frame, for peers that the test plays itself. */
export function frame(
  type: (typeof TYPES)[number],
  flags: readonly (typeof FLAGS)[number][],
  streamId: number,
  length: number,
  body: Uint8Array = new Uint8Array(0),
): Buffer {
  const bytes = Buffer.alloc(12);
  const bits = flags.reduce((all, flag) => all | (1 << FLAGS.indexOf(flag)), 0);
  writeFrameHeader(bytes, 0, { type: TYPES.indexOf(type), flags: bits, streamId, length });
  return Buffer.concat([bytes, body]);
}

function describeFrames(bytes: Buffer): readonly string[] {
  const frames: string[] = [];
  const header = { type: 0, flags: 0, streamId: 0, length: 0 };
  for (let at = 0; at < bytes.length; at += 12) {
    if (!readFrameHeader(bytes, at, header)) {
      throw new Error(`No frame at byte ${at}`);
    }
    const { type, flags, streamId, length } = header;
    const names = FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0);
    frames.push([TYPES[type], ...names, streamId, length].join(' '));
    at += type === 0 ? length : 0;
  }
  return frames;
}

/** Waits a turn of the event loop at a time until it holds. The limit of the test bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise<void>((resolve) => systemRunSoon(resolve));
  }
}

/** Writes all of it, waiting for room as often as needed; then ends the stream. */
export async function writeAll(recorded: RecordedStream, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const before = recorded.events.length;
    at += recorded.stream.write(bytes.subarray(at));
    if (at < bytes.length) {
      await until(() => recorded.events.length > before);
    }
  }
  recorded.stream.end();
}
