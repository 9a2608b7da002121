/** Our tunnel with a gateway of hashicorp/yamux: what it does with streams, in both directions. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { until } from '../support/until.ts';
import { connectTunnelAgent, type TunnelAgent } from '../tunnel/tunnel-agent.ts';
import { type GoGateway, startGoGateway } from './go-peer.ts';

const MIB = 1024 * 1024;
/** The first build of the gateway needs it. */
const START_TIMEOUT_MS = 300_000;

let gateway: GoGateway;

async function connect(hello: Readonly<Record<string, boolean>> = {}): Promise<TunnelAgent> {
  const agent = await connectTunnelAgent(gateway.url);
  await gateway.ask('connect', hello);
  return agent;
}

/** Streams end a moment after the gateway's scenario: the targets' sockets close last. */
async function whenIdle(agent: TunnelAgent): Promise<void> {
  await until('no stream is open', () => agent.counters.active === 0);
}

describe('with a gateway of hashicorp/yamux', () => {
  beforeAll(async () => {
    gateway = await startGoGateway();
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  test('the hello is acknowledged, and udp framing only where it was announced', async () => {
    await using first = await connectTunnelAgent(gateway.url);
    expect(await gateway.ask('connect')).toEqual({ ack: { use_yamux: true } });
    expect(first.tunnel.isActive).toBe(true);
    await using second = await connectTunnelAgent(gateway.url);
    expect(await gateway.ask('connect', { udp_framing: true })).toEqual({
      ack: { use_yamux: true, udp_framing: true },
    });
    await first.closed;
    expect([first.tunnel.isActive, second.tunnel.isActive]).toEqual([false, true]);
  });

  test.each([
    ['down', { streams: 1, bytes: 1_024 * MIB, write_bytes: 32 * 1024 }],
    ['down', { streams: 8, bytes: 2 * MIB, write_bytes: 1_000 }],
    ['up', { streams: 1, bytes: 1_024 * MIB }],
    ['up', { streams: 8, bytes: 8 * MIB }],
    ['echo', { streams: 8, bytes: 8 * MIB, write_bytes: 32 * 1024 }],
    ['echo', { streams: 8, bytes: MIB, write_bytes: 7_777 }],
  ] as const)(
    '%s, %p: equal hashes, also after half-close, and nothing is left',
    async (scenario, parameters) => {
      await using agent = await connect();
      await gateway.ask(scenario, parameters);
      await whenIdle(agent);
      expect(await gateway.ask('streams')).toEqual({ streams: 0 });
      expect(agent.counters).toMatchObject({
        accepted: parameters.streams,
        refused: 0,
        active: 0,
        dialErrors: 0,
        copyErrors: 0,
      });
    },
  );

  test('10 000 streams one after the other, 500 of them at once, leave nothing', async () => {
    await using agent = await connect();
    for (let round = 0; round < 20; round += 1) {
      expect(await gateway.ask('hold', { streams: 500 })).toEqual({ held: 500, refused: 0 });
      await whenIdle(agent);
    }
    expect(await gateway.ask('streams')).toEqual({ streams: 0 });
    expect(agent.counters).toMatchObject({ accepted: 10_000, copyErrors: 0, dialErrors: 0 });
  });

  test('more than 1024 streams at once are refused, and the rest is served', async () => {
    await using agent = await connect();
    expect(await gateway.ask('hold', { streams: 1_500 })).toEqual({ held: 1_024, refused: 476 });
    await whenIdle(agent);
    expect(await gateway.ask('hold', { streams: 10 })).toEqual({ held: 10, refused: 0 });
  });

  test('a target that reads nothing stops the gateway; when it reads, all arrives', async () => {
    await using agent = await connect();
    const bytes = 16 * MIB;
    const stopped = await gateway.ask('stalled_target', { streams: 4, bytes, seconds: 0.5 });
    expect(Number(stopped['bytes'])).toBeLessThan(4 * bytes);
    await whenIdle(agent);
  });

  test('streams that the gateway does not read leave the others alone, and arrive whole', async () => {
    await using agent = await connect();
    await gateway.ask('stalled_reader', { streams: 8, bytes: 8 * MIB, seconds: 0.2 });
    await whenIdle(agent);
    expect(agent.counters.bytesOut).toBeGreaterThanOrEqual(8 * 8 * MIB);
  });

  test('a port where nobody listens is the end of the stream without data', async () => {
    await using agent = await connect();
    expect(await gateway.ask('end', { port: gateway.targets.refused })).toEqual({
      bytes: 0,
      end: 'EOF',
    });
    await whenIdle(agent);
    expect(agent.counters).toMatchObject({ accepted: 1, dialErrors: 1, copyErrors: 0 });
  });

  test('a target that resets its connection resets the stream', async () => {
    await using agent = await connect();
    expect(await gateway.ask('end', { port: gateway.targets.reset })).toEqual({
      bytes: 0,
      end: 'connection reset',
    });
    await whenIdle(agent);
    expect(agent.counters).toMatchObject({ accepted: 1, copyErrors: 1 });
  });

  test('go-away of the gateway: an open stream goes on to its end', async () => {
    await using agent = await connect();
    expect(await gateway.ask('go_away')).toEqual({ got: 'after' });
    await whenIdle(agent);
  });

  test.each([true, false])('datagrams to and fro, framing %p', async (udpFraming) => {
    await using agent = await connect({ udp_framing: udpFraming });
    expect(await gateway.ask('datagrams', { udp_framing: udpFraming })).toEqual({ datagrams: 5 });
    await whenIdle(agent);
  });

  test('a gateway that is gone ends every stream and every socket', async () => {
    await using agent = await connect();
    await gateway.ask('drop', { streams: 8 });
    await agent.closed;
    await whenIdle(agent);
    expect([agent.tunnel.isActive, agent.counters.accepted]).toEqual([false, 8]);
  });

  test('a connection that is gone ends every stream and every socket', async () => {
    await using agent = await connect();
    const moving = gateway.ask('bench_bulk', { down: 2, up: 2, seconds: 0.3, write_bytes: 32_768 });
    await until(
      'all streams move',
      () => agent.counters.active >= 4 && agent.counters.bytesOut >= MIB,
    );
    await agent[Symbol.asyncDispose]();
    expect(agent.counters.active).toBe(0);
    await moving;
  });
});
