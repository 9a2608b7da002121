import { expect, test } from 'bun:test';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { UpstreamConnection } from '../../../src/http1/client/connection.ts';
import { upstreamPool } from '../../../src/http1/client/pool.ts';
import { KUBERNETES_PEER } from '../../../src/proxy/kubernetes-destination.ts';
import { recordedAnswer } from '../../proxy/recorded-answer.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import {
  okAnswer,
  type RawUpstream,
  rawUpstream,
  upstreamCertificates,
} from '../../support/raw-upstream.ts';
import { until } from '../../support/until.ts';

/** One whole exchange. */
async function exchange(connection: UpstreamConnection): Promise<void> {
  const answer = recordedAnswer();
  connection.begin('GET', Buffer.from('GET / HTTP/1.1\r\n\r\n'), answer).endRequest();
  await answer.done;
}

test('a connection is kept for its own address, and not for longer than the server keeps it', async () => {
  await using one = await rawUpstream(({ socket }) => socket.write(okAnswer('')));
  await using two = await rawUpstream(({ socket }) => socket.write(okAnswer('')));
  const clock = manualClock();
  const pool = upstreamPool({ clock });
  const first = await pool.acquire(one.address);
  await exchange(first);
  const other = await pool.acquire(two.address);
  expect(other).not.toBe(first);
  expect(await pool.acquire(one.address)).toBe(first);
  await exchange(first);
  clock.advance(60_000);
  const later = await pool.acquire(one.address);
  expect(later).not.toBe(first);
  expect(pool.connections()).toBe(2);
  pool.close();
  expect(pool.connections()).toBe(0);
});

test.each(['close', 'Close', 'keep-alive, close', 'close, X-Hop'])(
  'a connection is not used again after "Connection: %s"',
  async (value) => {
    const last = okAnswer('').replace('\r\n', `\r\nConnection: ${value}\r\n`);
    await using server = await rawUpstream(({ socket }) => socket.write(last));
    const pool = upstreamPool({ clock: manualClock() });
    const first = await pool.acquire(server.address);
    await exchange(first);
    expect(await pool.acquire(server.address)).not.toBe(first);
    pool.close();
  },
);

test('a server that never answers the handshake is given up in time', async () => {
  const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  try {
    const clock = manualClock();
    const pool = upstreamPool({ clock });
    const trust = { ca: (await upstreamCertificates()).ca };
    const failed = failureOf(() =>
      pool.fresh({ hostname: '127.0.0.1', port: silent.port, trust, peer: KUBERNETES_PEER }),
    );
    await clock.whenSleeping(1);
    clock.advance(10_000);
    const error = await failed;
    expect([error.code, error.message]).toEqual([
      'KUBERNETES_API',
      `Cannot reach Kubernetes at 127.0.0.1:${silent.port}: it did not answer in time`,
    ]);
    expect(clock.remainingMs()).toEqual([]);
  } finally {
    silent.stop(true);
  }
});

/** A way to a server on which only the first connection comes through; the others are held where they are. */
async function narrowWay(server: RawUpstream) {
  const held: Socket[] = [];
  const through: Socket[] = [];
  const way = createServer((socket) => {
    socket.on('error', () => undefined);
    if (through.length > 0) {
      held.push(socket);
      return;
    }
    const on = connect({ host: '127.0.0.1', port: server.address.port });
    on.on('error', () => undefined);
    through.push(socket, on);
    socket.pipe(on).pipe(socket);
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  const { port } = way.address() as AddressInfo;
  return {
    address: { ...server.address, port },
    held,
    [Symbol.asyncDispose]: async () => {
      for (const socket of [...through, ...held]) {
        socket.destroy();
      }
      await new Promise<void>((resolve) => way.close(() => resolve()));
    },
  };
}

/** More than are dialled at once. */
const CALLERS = 40;
const DIALS_MAX = 16;

test('a server that comes back is dialled a few times at once, and the others wait, but not for ever', async () => {
  await using server = await rawUpstream(({ socket }) => socket.write(okAnswer('')));
  await using way = await narrowWay(server);
  const clock = manualClock();
  const pool = upstreamPool({ clock });
  await pool.fresh(way.address);
  const failed = Array.from({ length: CALLERS }, () => failureOf(() => pool.acquire(way.address)));
  await until('some are dialled', () => way.held.length === DIALS_MAX);
  const [first] = failed;
  way.held[0]?.destroy();
  expect((await first)?.message).toEndWith('it closed the connection');
  await until('the next one is dialled', () => way.held.length === DIALS_MAX + 1);
  clock.advance(10_000);
  const late = (await Promise.all(failed.slice(1))).map(({ code, message }) => [code, message]);
  const { port } = way.address;
  const message = `Cannot reach Kubernetes at 127.0.0.1:${port}: it did not answer in time`;
  expect(late).toEqual(Array(CALLERS - 1).fill(['KUBERNETES_API', message]));
  expect(way.held).toHaveLength(DIALS_MAX + 1);
  const again = failureOf(() => pool.acquire(way.address));
  await until('there is a turn again', () => way.held.length === DIALS_MAX + 2);
  clock.advance(10_000);
  expect((await again).message).toBe(message);
  pool.close();
});

test('who waits for a turn takes a connection that becomes idle, unless it must be a fresh one', async () => {
  await using server = await rawUpstream(({ socket }) => socket.write(okAnswer('')));
  await using way = await narrowWay(server);
  const clock = manualClock();
  const pool = upstreamPool({ clock });
  const first = await pool.acquire(way.address);
  const dialled = Array.from({ length: DIALS_MAX }, () =>
    failureOf(() => pool.acquire(way.address)),
  );
  const fresh = failureOf(() => pool.fresh(way.address));
  const waiting = pool.acquire(way.address);
  await exchange(first);
  expect(await waiting).toBe(first);
  await exchange(first);
  expect(await pool.acquire(way.address)).toBe(first);
  clock.advance(10_000);
  await Promise.all([...dialled, fresh]);
  pool.close();
});

test.each([
  [KUBERNETES_PEER],
  [{ ...KUBERNETES_PEER, code: 'APPLICATION_UNREACHABLE', name: 'Service shop/web, port 80' }],
] as const)('nobody who listens is said at once, by name: %j', async (peer) => {
  const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const { port } = gone;
  gone.stop(true);
  const pool = upstreamPool({ clock: manualClock() });
  const address = { hostname: '127.0.0.1', port, trust: 'plain', peer } as const;
  const error = await failureOf(() => pool.fresh(address));
  expect([error.code, error.message, error.hint]).toEqual([
    peer.code,
    `Cannot reach ${peer.name} at 127.0.0.1:${port}: it refuses connections`,
    peer.hint,
  ]);
});

test('a plain address needs no handshake', async () => {
  const echo = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket) => void socket.write(okAnswer('plain')) },
  });
  try {
    const pool = upstreamPool({ clock: manualClock() });
    const connection = await pool.acquire({
      hostname: '127.0.0.1',
      port: echo.port,
      trust: 'plain',
      peer: KUBERNETES_PEER,
    });
    await exchange(connection);
    expect(pool.connections()).toBe(1);
    pool.close();
  } finally {
    echo.stop(true);
  }
});

test.each([
  ['nothing', ''],
  ['only news of a head to come', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
])(
  'an answer of which %s comes is given up; one that has begun may take its time',
  async (_, news) => {
    await using silent = await rawUpstream(({ socket }) => socket.write(news));
    await using begun = await rawUpstream(({ socket }) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    const clock = manualClock();
    const pool = upstreamPool({ clock });
    const [never, slow] = [recordedAnswer(), recordedAnswer()];
    const head = Buffer.from('GET / HTTP/1.1\r\n\r\n');
    (await pool.acquire(silent.address)).begin('GET', head, never).endRequest();
    (await pool.acquire(begun.address)).begin('GET', head, slow).endRequest();
    await slow.headed;
    await clock.whenSleeping(1);
    clock.advance(120_000);
    expect((await failureOf(() => never.done)).code).toBe('TIMEOUT');
    expect(Bun.peek.status(slow.done)).toBe('pending');
    expect(pool.connections()).toBe(1);
    pool.close();
    clock.advance(5_000);
  },
);
