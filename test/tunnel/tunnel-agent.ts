/** Our tunnel over a WebSocket client of its own: what tests and benchmarks connect to a gateway. */
import type { SessionLink } from '../../src/control-plane/ports.ts';
import type { Log } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { Envelope } from '../../src/protocol/messages.ts';
import { type TunnelCounters, tunnelCounters } from '../../src/tunnel/counters.ts';
import { type AttachedTunnel, tunnelDataPlane } from '../../src/tunnel/data-plane.ts';
import type { TunnelTargets } from '../../src/tunnel/targets.ts';
import { memoryLog } from '../support/memory-log.ts';

export interface TunnelAgent extends AsyncDisposable {
  readonly tunnel: AttachedTunnel;
  readonly counters: TunnelCounters;
  readonly log: Log;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
}

/** Every name is a port of loopback. */
const LOOPBACK: TunnelTargets = {
  resolve: async ({ port }) => ({ kind: 'target', host: '127.0.0.1', port }),
};

export async function connectTunnelAgent(
  url: string,
  options: { readonly targets?: TunnelTargets; readonly ca?: string; readonly log?: Log } = {},
): Promise<TunnelAgent> {
  const counters = tunnelCounters();
  const log = options.log ?? memoryLog();
  const plane = tunnelDataPlane({
    clock: systemClock,
    runSoon: systemRunSoon,
    log,
    targets: options.targets ?? LOOPBACK,
    counters,
  });
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
  });
  socket.binaryType = 'nodebuffer';
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  const link: SessionLink = {
    kind: 'gateway',
    clusterId: 'cluster-1',
    clusterUuid: '',
    send: (type, payload, requestId) => {
      if (isOpen()) {
        const timestamp = new Date().toISOString();
        socket.send(JSON.stringify({ type, payload, timestamp, request_id: requestId }));
      }
      return isOpen();
    },
    sendBinary: (data) => {
      if (isOpen()) {
        socket.send(data as Uint8Array<ArrayBuffer>);
      }
      return isOpen();
    },
    bufferedBytes: () => socket.bufferedAmount,
    acceptsServiceToken: () => false,
  };
  const tunnel = plane.attach(link);
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error(`Cannot connect to ${url}`));
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') {
      tunnel.message(Envelope.parse(JSON.parse(data)));
    } else {
      tunnel.binary(data);
    }
  };
  socket.onclose = () => {
    tunnel.close();
    closed.resolve();
  };
  await opened.promise;
  return {
    tunnel,
    counters,
    log,
    closed: closed.promise,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await closed.promise;
    },
  };
}
