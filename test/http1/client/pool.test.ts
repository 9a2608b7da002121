import { expect, test } from 'bun:test';
import type { UpstreamConnection } from '../../../src/http1/client/connection.ts';
import { upstreamPool } from '../../../src/http1/client/pool.ts';
import { KUBERNETES_PEER } from '../../../src/proxy/kubernetes-destination.ts';
import { recordedAnswer } from '../../proxy/recorded-answer.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { okAnswer, rawUpstream, upstreamCertificates } from '../../support/raw-upstream.ts';

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
