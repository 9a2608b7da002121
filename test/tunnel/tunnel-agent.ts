/** Our tunnel over a WebSocket client of its own: what tests connect to a gateway. */
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { Envelope } from '../../src/protocol/session/messages.ts';
import { type TunnelCounters, tunnelCounters } from '../../src/tunnel/counters.ts';
import { type AttachedTunnel, tunnelDataPlane } from '../../src/tunnel/data-plane.ts';
import type { TunnelTargets } from '../../src/tunnel/targets.ts';
import { type MemoryLog, memoryLog } from '../support/memory-log.ts';
import { webSocketLink } from './websocket-link.ts';

export interface TunnelAgent extends AsyncDisposable {
  readonly tunnel: AttachedTunnel;
  readonly counters: TunnelCounters;
  readonly log: MemoryLog;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
}

/** Every name is a port of loopback. */
const LOOPBACK: TunnelTargets = {
  resolve: async ({ port }) => ({ kind: 'target', host: '127.0.0.1', port }),
};

export async function connectTunnelAgent(
  url: string,
  options: { readonly targets?: TunnelTargets; readonly ca?: string } = {},
): Promise<TunnelAgent> {
  const counters = tunnelCounters();
  const log = memoryLog();
  const plane = tunnelDataPlane({
    clock: systemClock,
    runSoon: systemRunSoon,
    log,
    targets: options.targets ?? LOOPBACK,
    counters,
    open: new Set(),
  });
  let attached: ReturnType<typeof plane.attach> | undefined;
  const connection = await webSocketLink(url, {
    ca: options.ca,
    text: (message, { link }) => {
      attached ??= plane.attach(link);
      attached.message(Envelope.parse(JSON.parse(message)));
    },
    binary: (message) => attached?.binary(message),
  });
  attached ??= plane.attach(connection.link);
  const tunnel = attached;
  const closed = connection.closed.then(() => tunnel.close());
  return {
    tunnel,
    counters,
    log,
    closed,
    [Symbol.asyncDispose]: async () => {
      connection.close();
      await closed;
    },
  };
}
