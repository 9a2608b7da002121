/** How the connections of the TLS door end when the client does not end them. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';

import { headRoom } from '../../../src/http1/head-room.ts';
import { DoorConnection } from '../../../src/http1/server/connection.ts';
import { joiningRoom } from '../../../src/http1/server/socket-output.ts';
import type { Listener } from '../../../src/server/listener.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { type TestProxy, testProxy } from '../../support/proxy-deps.ts';
import { okAnswer, type RawUpstream, rawUpstream } from '../../support/raw-upstream.ts';
import {
  DOOR_CERTIFICATE,
  doorRequest,
  rawClient,
  TOKEN,
  tlsDoor,
} from '../../support/tls-door.ts';
import { waitUntil } from '../../vm/wait-until.ts';

/** Fits into the buffers of the system: the door has sent it when nobody has read it. */
const ANSWER = okAnswer('y'.repeat(2 * 1024 * 1024));
/** Longer than any time limit of the door. */
const LONG_MS = 300_000;
const STEP_MS = 5_000;
const CONNECTIONS_MAX = 3_000;

let upstream: RawUpstream;
let proxy: TestProxy;
let listener: Listener;
let clock: ManualClock;
let running: { done: Promise<void> };
const stop = new AbortController();

beforeAll(async () => {
  upstream = await rawUpstream(({ socket }) => socket.write(ANSWER));
  proxy = testProxy(upstream.address);
  clock = manualClock();
  listener = tlsDoor(proxy, clock);
  running = await listener.start(stop.signal);
});
afterAll(async () => {
  stop.abort();
  await running.done;
  proxy[Symbol.dispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Moves the clock on, with room for what happens at each step. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    await clock.whenSleeping(1);
    clock.advance(STEP_MS);
    await new Promise(setImmediate);
  }
}

test('a connection on which no TLS begins is ended after its time', async () => {
  const socket = connectTcp({ host: '127.0.0.1', port: listener.port() });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  expect(socket.readyState).toBe('open');
  await pass(LONG_MS);
  await closed;
});

test('connections over the limit are closed at once, and those that say nothing make room', async () => {
  let closed = 0;
  const open = async () => {
    const socket = connectTcp({ host: '127.0.0.1', port: listener.port() });
    socket
      .on('error', () => undefined)
      .on('close', () => {
        closed += 1;
      });
    await new Promise<void>((resolve) => socket.once('connect', resolve));
  };
  for (let count = 0; count < CONNECTIONS_MAX; count += 1) {
    await open();
  }
  expect(closed).toBe(0);
  await open();
  await waitUntil('one is closed', 5_000, async () => closed === 1);
  await pass(LONG_MS);
  await waitUntil('all are closed', 5_000, async () => closed === CONNECTIONS_MAX + 1);
  using caller = await rawClient(listener.port());
  expect(caller.socket.getProtocol()).toBe('TLSv1.3');
});

test.each([
  ['a refusal', doorRequest('/proxy/x')],
  ['its last answer', doorRequest('/proxy/x', TOKEN, 'Connection: close')],
])('a client that does not close its side behind %s is closed after its time', async (_, bytes) => {
  const socket = connect({
    ...{ host: '127.0.0.1', port: listener.port(), ca: DOOR_CERTIFICATE, allowHalfOpen: true },
  });
  const ended = new Promise<void>((resolve) => socket.on('end', resolve));
  let isClosed = false;
  socket
    .on('error', () => undefined)
    .on('close', () => {
      isClosed = true;
    });
  socket.on('secureConnect', () => socket.write(bytes)).resume();
  await ended;
  await pass(LONG_MS);
  // Nobody is there any more: the system says so to who writes.
  expect(isClosed).toBe(false);
  await waitUntil('the client hears of it', 5_000, async () => {
    socket.write('x');
    return isClosed;
  });
});

test.each([
  ['on a connection that is kept', []],
  ['on a connection that ends with it', ['Connection: close']],
])('an answer that is read only after all time limits comes whole, %s', async (_, headers) => {
  using caller = await rawClient(listener.port());
  caller.socket.pause();
  caller.socket.write(doorRequest('/proxy/large', TOKEN, ...headers));
  await waitUntil('the answer has begun', 5_000, async () => caller.socket.bytesRead > 0);
  const isSent = async () => proxy.deps.turns.counts().running === 0;
  await waitUntil('the API server has sent all of it', 5_000, isSent);
  await pass(LONG_MS);
  caller.socket.resume();
  await caller.closed;
  expect(caller.received().length).toBeGreaterThanOrEqual(ANSWER.length);
});

test('what the system has not taken yet waits for a slow reader, however long', () => {
  let now = 0;
  let room = 0;
  const done: string[] = [];
  const note = (what: string) => () => {
    done.push(what);
    return 0;
  };
  const socket = {
    ...{ shutdown: note('shut'), end: note('closed'), terminate: note('broken') },
    ...{ pause: note('paused'), resume: () => 0, write: () => room },
  };
  const refusal = { status: 400, body: 'no' };
  const connection = new DoorConnection(
    {
      ...{ now: () => now, admit: () => refusal, malformed: () => refusal, idle: () => undefined },
      headRoom: headRoom(),
      joiningRoom: joiningRoom(),
      begin: () => {
        throw new Error('Nothing is admitted');
      },
    },
    socket,
  );
  connection.received(Buffer.from(doorRequest('/proxy/x')));
  for (const step of [LONG_MS, LONG_MS]) {
    now += step;
    connection.checkTime();
    expect(done).toEqual([]);
  }
  room = Number.MAX_SAFE_INTEGER;
  connection.drained();
  expect(done).toEqual(['shut']);
  connection.checkTime();
  expect(done).toEqual(['shut']);
  now += LONG_MS;
  connection.checkTime();
  expect(done).toEqual(['shut', 'closed']);
});

test('at the stop who asks at once is still answered, and who has just connected has longer for that', async () => {
  const api = await rawUpstream(({ socket }) => socket.write(okAnswer('fine')));
  const toApi = testProxy(api.address);
  const own = manualClock();
  const door = tlsDoor(toApi, own);
  const leaving = new AbortController();
  const { done } = await door.start(leaving.signal);
  const kept = async () => {
    const client = await rawClient(door.port());
    client.socket.write(doorRequest('/proxy/x', TOKEN));
    await client.until('fine');
    return client;
  };
  using asking = await kept();
  using idle = await kept();
  using fresh = await rawClient(door.port());
  using silent = await rawClient(door.port());
  await own.whenSleeping(1);
  leaving.abort();
  await own.whenSleeping(1);
  asking.socket.write(doorRequest('/proxy/x', TOKEN));
  await asking.closed;
  expect(asking.received().split('fine').length - 1).toBe(2);
  expect(asking.received()).toContain('Connection: close');

  own.advance(100);
  await idle.closed;
  fresh.socket.write(doorRequest('/proxy/x', TOKEN));
  await fresh.closed;
  expect(fresh.received()).toEndWith('\r\nConnection: close\r\n\r\nfine');
  expect(silent.socket.readyState).toBe('open');
  await own.whenSleeping(1);
  own.advance(1_900);
  await silent.closed;
  await done;
  toApi[Symbol.dispose]();
  await api[Symbol.asyncDispose]();
});
