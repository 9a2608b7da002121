/** What becomes of the peer's streams: where they go, and when they are refused. */
import { expect, test } from 'bun:test';
import type { Clock } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import type { TunnelHeader } from '../../src/protocol/session/tunnel-header.ts';
import { tunnelCounters } from '../../src/tunnel/counters.ts';
import { openTunnel } from '../../src/tunnel/open.ts';
import { type OpenStreams, streamRow } from '../../src/tunnel/open-streams.ts';
import type { TunnelTarget } from '../../src/tunnel/targets.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { encodeTunnelHeader } from '../support/tunnel-header.ts';
import { openRecorded, testSession, until } from '../yamux/session-pair.ts';

const HEADER: TunnelHeader = {
  protocol: 'tcp',
  port: 80,
  service: 'web',
  namespace: 'shop',
  tunnelId: 't-1',
};
const REFUSED: TunnelTarget = { kind: 'refused', reason: 'it is not on the list' };

function start(
  options: {
    readonly clock?: Clock;
    readonly resolve?: (header: TunnelHeader) => Promise<TunnelTarget>;
    readonly udpFraming?: boolean;
  } = {},
) {
  const counters = tunnelCounters();
  const leading: OpenStreams = new Set();
  const log = memoryLog();
  const peer = testSession('server', {
    deliver: (message) => systemRunSoon(() => tunnel.receive(message)),
  });
  const tunnel = openTunnel(
    {
      clock: options.clock ?? systemClock,
      runSoon: systemRunSoon,
      log,
      targets: { resolve: options.resolve ?? (async () => REFUSED) },
      counters,
      open: leading,
    },
    {
      sendBinary: (parts) => {
        const copy = Buffer.concat(parts);
        systemRunSoon(() => peer.session.receive(copy));
        return true;
      },
      bufferedBytes: () => 0,
    },
    {
      windowLimitBytes: 1024 * 1024,
      keepAliveMs: 30_000,
      connectionTimeoutMs: 30_000,
      udpFraming: options.udpFraming ?? false,
    },
    () => undefined,
  );
  const open = () => openRecorded(peer.session);
  return { tunnel, counters, leading, log, open, [Symbol.dispose]: () => tunnel.close() };
}

/** Moves the clock, a second at a time as deadlines are looked at, until it holds. */
async function passUntil(clock: ManualClock, holds: () => boolean): Promise<number> {
  const began = clock.monotonic();
  while (!holds()) {
    await until(() => holds() || clock.remainingMs().some((ms) => ms <= 1_000));
    clock.advance(holds() ? 0 : 1_000);
    await new Promise<void>((resolve) => systemRunSoon(resolve));
  }
  return clock.monotonic() - began;
}

function reasonsOf(log: ReturnType<typeof memoryLog>): readonly unknown[] {
  return log.entries.filter(({ level }) => level === 'debug').map(({ fields }) => fields['reason']);
}

test('a stream whose target is refused ends without data; the peer may end its half', async () => {
  const asked: TunnelHeader[] = [];
  using agent = start({
    resolve: async (header) => {
      asked.push(header);
      return REFUSED;
    },
  });
  const stream = agent.open();
  stream.stream.write(encodeTunnelHeader(HEADER));
  stream.stream.write(Buffer.from('GET / HTTP/1.1'));
  await until(() => stream.events.length > 0);
  stream.stream.end();
  expect(await stream.whenClosed).toBe('ended');
  await until(() => agent.counters.active === 0);
  expect(asked).toEqual([HEADER]);
  expect(stream.received).toEqual([]);
  expect(reasonsOf(agent.log)).toEqual(['it is not on the list']);
  expect(agent.counters).toMatchObject({ accepted: 1, refused: 1, dialErrors: 0 });
});

test('a refused stream that goes on is reset after a while', async () => {
  const clock = manualClock();
  using agent = start({ clock });
  const stream = agent.open();
  stream.stream.write(encodeTunnelHeader(HEADER));
  await until(() => stream.events.includes('ended'));
  await passUntil(clock, () => agent.counters.active === 0);
  await until(() => stream.events.includes('closed reset'));
  expect(clock.monotonic()).toBeLessThanOrEqual(6_000);
});

test.each([
  [
    'a name with a dot',
    { ...HEADER, service: 'web.kube-system' },
    'the service is no name by RFC 1123',
  ],
  ['an empty name', { ...HEADER, service: '' }, 'the service is no name by RFC 1123'],
  [
    'a namespace with capitals',
    { ...HEADER, namespace: 'Shop' },
    'the namespace is no name by RFC 1123',
  ],
  [
    'a hyphen at the end',
    { ...HEADER, namespace: 'shop-' },
    'the namespace is no name by RFC 1123',
  ],
] as const)('%s is refused before anything is asked', async (_, header, reason) => {
  const asked: TunnelHeader[] = [];
  using agent = start({
    resolve: async (each) => {
      asked.push(each);
      return REFUSED;
    },
  });
  const stream = agent.open();
  stream.stream.write(encodeTunnelHeader(header));
  await until(() => stream.events.includes('ended'));
  expect([asked, reasonsOf(agent.log)]).toEqual([[], [reason]]);
});

test('an unknown version of the header resets the stream at its first byte', async () => {
  using agent = start();
  const stream = agent.open();
  stream.stream.write(Uint8Array.of(9));
  expect(await stream.whenClosed).toBe('reset');
  expect([agent.counters.active, reasonsOf(agent.log)]).toEqual([0, ['version 9 is not known']]);
});

test('a header that does not come, or not whole, ends the stream after 10 s', async () => {
  const clock = manualClock();
  using agent = start({ clock });
  const silent = agent.open();
  const slow = agent.open();
  slow.stream.write(encodeTunnelHeader(HEADER).subarray(0, 9));
  await until(() => agent.counters.active === 2);
  await passUntil(clock, () => agent.counters.active === 0);
  expect([await silent.whenClosed, await slow.whenClosed]).toEqual(['reset', 'reset']);
  expect(reasonsOf(agent.log)).toEqual(Array(2).fill('its header did not come in time'));
});

test('a stream that ends before its header is over', async () => {
  using agent = start();
  const stream = agent.open();
  stream.stream.end();
  await stream.whenClosed;
  await until(() => agent.counters.active === 0);
  expect(reasonsOf(agent.log)).toEqual(['it ended before its header']);
});

test('a target that is not found in time is refused, and its late answer changes nothing', async () => {
  const clock = manualClock();
  const late = Promise.withResolvers<TunnelTarget>();
  using agent = start({ clock, resolve: () => late.promise });
  const stream = agent.open();
  stream.stream.write(encodeTunnelHeader(HEADER));
  await until(() => agent.counters.active === 1);
  await passUntil(clock, () => stream.events.includes('ended'));
  late.resolve({ kind: 'target', host: '127.0.0.1', port: 1 });
  await passUntil(clock, () => agent.counters.active === 0);
  expect(reasonsOf(agent.log)).toEqual(['its target was not found in time']);
  expect(agent.counters.dialErrors).toBe(0);
});

test.each(['tcp', 'udp'] as const)(
  '%s: nothing is dialled for a stream that is gone',
  async (protocol) => {
    const found = Promise.withResolvers<TunnelTarget>();
    let connections = 0;
    using server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: () => {
          connections += 1;
        },
        data: () => undefined,
      },
    });
    using agent = start({ resolve: () => found.promise });
    const stream = agent.open();
    stream.stream.write(encodeTunnelHeader({ ...HEADER, protocol }));
    await until(() => agent.counters.active === 1);
    stream.stream.reset();
    await until(() => agent.counters.active === 0);
    found.resolve({ kind: 'target', host: '127.0.0.1', port: server.port });
    const after = await Bun.connect({
      hostname: '127.0.0.1',
      port: server.port,
      socket: { data: () => undefined },
    });
    await until(() => connections > 0);
    expect([connections, agent.counters.active, agent.counters.dialErrors]).toEqual([1, 0, 0]);
    expect(agent.leading.size).toBe(0);
    after.end();
  },
);

test('a header and the first bytes in one frame reach the target together, in order', async () => {
  const received: string[] = [];
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, bytes) => {
        received.push(bytes.toString());
        socket.write('hello back');
        socket.end();
      },
    },
  });
  const { port } = server;
  using agent = start({ resolve: async () => ({ kind: 'target', host: '127.0.0.1', port }) });
  const stream = agent.open();
  stream.stream.write(Buffer.concat([encodeTunnelHeader(HEADER), Buffer.from('hello')]));
  await until(() => stream.events.includes('ended'));
  stream.stream.end();
  await until(() => agent.counters.active === 0);
  expect([received.join(''), Buffer.concat(stream.received).toString()]).toEqual([
    'hello',
    'hello back',
  ]);
  expect(agent.counters).toMatchObject({ bytesIn: 5, bytesOut: 10, copyErrors: 0 });
});

test('each open stream is told with where it leads, since when, and its own bytes', async () => {
  const clock = manualClock();
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket, data) => void socket.write(`${data} back`) },
  });
  const datagrams = await Bun.udpSocket({
    hostname: '127.0.0.1',
    socket: { data: (socket, data, port, host) => void socket.send(`${data}!`, port, host) },
  });
  const ports = { tcp: server.port, udp: datagrams.port };
  using agent = start({
    clock,
    resolve: async ({ service, protocol }) =>
      service === 'web' ? { kind: 'target', host: '127.0.0.1', port: ports[protocol] } : REFUSED,
  });
  const open = (header: TunnelHeader, text: string) => {
    const stream = agent.open();
    stream.stream.write(Buffer.concat([encodeTunnelHeader(header), Buffer.from(text)]));
    return stream;
  };
  const refused = open({ ...HEADER, service: 'db' }, 'hello');
  const first = open(HEADER, 'hello');
  await until(() => Buffer.concat(first.received).toString() === 'hello back');
  clock.advance(60_000);
  const second = open({ ...HEADER, protocol: 'udp', port: 53, tunnelId: 't-2' }, 'one');
  await until(() => Buffer.concat(second.received).toString() === 'one!');
  await until(() => refused.events.includes('ended'));
  const to = { tunnel_id: 't-1', namespace: 'shop', service: 'web' };
  expect(Array.from(agent.leading, streamRow)).toEqual([
    {
      ...{ ...to, number: 2, protocol: 'tcp', port: 80 },
      ...{ since: '2026-01-01T00:00:00.000Z', bytes_in: 5, bytes_out: 10 },
    },
    {
      ...{ ...to, number: 3, protocol: 'udp', port: 53, tunnel_id: 't-2' },
      ...{ since: '2026-01-01T00:01:00.000Z', bytes_in: 3, bytes_out: 4 },
    },
  ]);
  first.stream.reset();
  await until(() => agent.leading.size === 1);
  agent.tunnel.close();
  await until(() => agent.leading.size === 0);
  datagrams.close();
});

test('a stream of datagrams ends when nothing was sent for 5 minutes', async () => {
  const clock = manualClock();
  const received: string[] = [];
  const server = await Bun.udpSocket({
    hostname: '127.0.0.1',
    socket: { data: (_, bytes) => void received.push(bytes.toString()) },
  });
  const { port } = server;
  using agent = start({
    clock,
    udpFraming: true,
    resolve: async () => ({ kind: 'target', host: '127.0.0.1', port }),
  });
  const stream = agent.open();
  stream.stream.write(encodeTunnelHeader({ ...HEADER, protocol: 'udp' }));
  // Two datagrams and a half, in pieces that have nothing to do with them.
  stream.stream.write(Buffer.from('\0\x03one\0'));
  stream.stream.write(Buffer.from('\x03two\0\x05thr'));
  await until(() => received.length === 2);
  stream.stream.write(Buffer.from('ee'));
  await until(() => received.length === 3);
  await passUntil(clock, () => stream.events.includes('ended'));
  expect(received).toEqual(['one', 'two', 'three']);
  expect(clock.monotonic()).toBeGreaterThanOrEqual(300_000);
  stream.stream.end();
  await until(() => agent.counters.active === 0);
  server.close();
});

test('a tunnel that goes away takes no new streams, and open ones go on to their end', async () => {
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, data) => void socket.write(data),
      end: (socket) => void socket.end(),
    },
  });
  const { port } = server;
  using agent = start({ resolve: async () => ({ kind: 'target', host: '127.0.0.1', port }) });
  const open = agent.open();
  open.stream.write(encodeTunnelHeader(HEADER));
  open.stream.write(Buffer.from('before'));
  await until(() => Buffer.concat(open.received).toString() === 'before');
  agent.tunnel.goAway();
  const late = agent.open(); // The peer has not heard of it yet.
  expect(await late.whenClosed).toBe('reset');
  open.stream.write(Buffer.from(' and after'));
  await until(() => Buffer.concat(open.received).toString() === 'before and after');
  expect(agent.tunnel.underWay()).toBe(1);
  open.stream.end();
  await until(() => agent.tunnel.underWay() === 0);
  expect(() => agent.open()).toThrow('opens no stream');
});
