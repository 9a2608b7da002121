/** Our session as the server, with an agent of hashicorp/yamux: the streams that we open. */
import { expect, test } from 'bun:test';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { YamuxSession } from '../../src/yamux/session.ts';
import { encodeTunnelHeader } from '../support/tunnel-header.ts';
import { buildYamuxPeer } from './go-peer.ts';
import { openRecorded, SESSION_OPTIONS, writeAll } from './session-pair.ts';

/** The first build of the agent needs it. */
const TIMEOUT_MS = 300_000;
const STREAMS = 16;

test(
  'streams that we open carry bytes to and fro and end in order on both sides',
  async () => {
    const sessions = Promise.withResolvers<YamuxSession>();
    let session: YamuxSession | undefined;
    using gateway = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request, server) =>
        server.upgrade(request) ? undefined : new Response(null, { status: 400 }),
      websocket: {
        open: (socket) => {
          socket.send(JSON.stringify({ type: 'gateway_hello', payload: { use_yamux: true } }));
        },
        message: (socket, message) => {
          if (typeof message !== 'string') {
            session?.receive(message);
            return;
          }
          session = new YamuxSession(
            {
              clock: systemClock,
              runSoon: systemRunSoon,
              transport: {
                send: (parts) => socket.sendBinary(Buffer.concat(parts)) !== 0,
                bufferedBytes: () => socket.getBufferedAmount(),
              },
              accept: () => undefined,
              ended: (reason) => sessions.reject(new Error(reason)),
            },
            { role: 'server', ...SESSION_OPTIONS },
          );
          sessions.resolve(session);
        },
      },
    });
    using echo = Bun.listen<{ waiting: Buffer[] }>({
      hostname: '127.0.0.1',
      port: 0,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          socket.data = { waiting: [] };
        },
        data: (socket, bytes) => {
          socket.data.waiting.push(bytes);
          flush(socket);
        },
        drain: (socket) => flush(socket),
        end: (socket) => {
          socket.data.waiting.push(Buffer.alloc(0));
          flush(socket);
        },
      },
    });
    const agent = Bun.spawn([await buildYamuxPeer(), 'agent', `ws://127.0.0.1:${gateway.port}`], {
      stdout: 'ignore',
      stderr: 'inherit',
    });
    try {
      const opened = await sessions.promise;
      const content = Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 31) >> 6));
      const streams = Array.from({ length: STREAMS }, () => openRecorded(opened));
      const header = encodeTunnelHeader({
        protocol: 'tcp',
        port: echo.port,
        service: 'echo',
        namespace: 'test',
        tunnelId: 't-1',
      });
      await Promise.all(
        streams.map(async (stream) => {
          stream.stream.write(header);
          await writeAll(stream, content);
          expect(await stream.whenClosed).toBe('ended');
          expect(Buffer.concat(stream.received).equals(content)).toBe(true);
        }),
      );
      expect([opened.streamCount, opened.heldBytes]).toEqual([0, 0]);
    } finally {
      agent.kill();
      await agent.exited;
    }
  },
  TIMEOUT_MS,
);

/** Writes back what came; an empty piece is the end. */
function flush(socket: Bun.Socket<{ waiting: Buffer[] }>): void {
  const { waiting } = socket.data;
  for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
    if (first.length === 0) {
      socket.end();
      return;
    }
    const written = socket.write(first);
    if (written < first.length) {
      waiting[0] = first.subarray(Math.max(0, written));
      return;
    }
    waiting.shift();
  }
}
