/** What a fleet does to its control plane when that restarts: the real session code, virtual time. */
import { seededRandom } from '../support/seeded-random.ts';
import { type MemoryServer, memoryDial, type ServerSide } from './memory-dial.ts';
import { runSimulatedAgent } from './simulated-agent.ts';
import { virtualClock } from './virtual-clock.ts';

/** Connects per second that a control plane plans for when it tells its fleet to spread. */
export const CONNECTS_PER_SECOND_PLANNED = 250;
/** From the first dial of all to all being registered, at most. */
const SETTLE_LIMIT_MS = 300_000;
/** The session has been stable for a while when the server goes. */
const STABLE_MS = 90_000;
const REFUSED = { kind: 'other', why: 'it refuses connections', ownCa: false, proxy: '' } as const;

export interface StormOptions {
  readonly seed: number;
  readonly agents: number;
  /** How long nobody listens. */
  readonly outageMs: number;
  /** The spread that the server announces, seconds; 0: none. */
  readonly spreadSeconds: number;
}

export interface Storm {
  /** Accepted connects in each second after the server came back. */
  readonly connectsPerSecond: readonly number[];
  /** Milliseconds from the server's return to each agent's registration. */
  readonly reconnectMs: readonly number[];
}

/** All agents are connected; the server goes away without a word and comes back. */
export async function reconnectStorm(options: StormOptions): Promise<Storm> {
  const clock = virtualClock();
  const stop = new AbortController();
  const server = fleetServer(options.spreadSeconds, clock.monotonic);
  const dial = memoryDial(server);
  const agents = Array.from({ length: options.agents }, (_, number) =>
    runSimulatedAgent(
      { clock, dial, random: seededRandom(options.seed * 1_000_003 + number) },
      `agent-${number}`,
      stop.signal,
    ),
  );
  await untilAllRegistered(server, clock, options.agents);
  await clock.run(STABLE_MS);
  server.goAway();
  await clock.run(options.outageMs);
  server.comeBack();
  const backAt = clock.monotonic();
  await untilAllRegistered(server, clock, options.agents);
  const storm = {
    connectsPerSecond: perSecond(server.connectedAt.map((at) => at - backAt)),
    reconnectMs: server.registeredAt.map((at) => at - backAt).toSorted((a, b) => a - b),
  };
  stop.abort();
  server.goAway();
  await Promise.all(agents);
  return storm;
}

/** @param share 0.5: the median */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function fleetServer(spreadSeconds: number, now: () => number) {
  const sides = new Set<ServerSide>();
  const registered = new Set<ServerSide>();
  let listening = true;
  const connectedAt: number[] = [];
  const registeredAt: number[] = [];
  const answer = (side: ServerSide, type: string, requestId: string | undefined) => {
    if (type === 'register') {
      registered.add(side);
      registeredAt.push(now());
      const pace = { reconnect_spread_seconds: spreadSeconds };
      const features = { supports_commands: true, supports_status_reports: true };
      const payload = { cluster_id: 'c', cluster_uuid: 'u', pace, features };
      side.send(JSON.stringify({ type: 'register_success', request_id: requestId, payload }));
    } else if (type === 'heartbeat') {
      side.send('{"type":"heartbeat_ack","payload":{}}');
    }
  };
  const server: MemoryServer = {
    refusal: () =>
      listening ? undefined : { code: 1006, reason: REFUSED.why, unreachable: REFUSED },
    opened: (side) => {
      sides.add(side);
      connectedAt.push(now());
    },
    received: (side, data) => {
      const { type, request_id: requestId } = JSON.parse(String(data));
      answer(side, type, requestId);
    },
    closed: (side) => {
      sides.delete(side);
      registered.delete(side);
    },
  };
  return {
    ...server,
    connectedAt,
    registeredAt,
    registeredCount: () => registered.size,
    goAway: () => {
      listening = false;
      for (const side of [...sides]) {
        side.close(1006);
      }
      connectedAt.length = 0;
      registeredAt.length = 0;
    },
    comeBack: () => {
      listening = true;
    },
  };
}

async function untilAllRegistered(
  server: { readonly registeredCount: () => number },
  clock: ReturnType<typeof virtualClock>,
  agents: number,
): Promise<void> {
  const limit = clock.monotonic() + SETTLE_LIMIT_MS;
  while (server.registeredCount() < agents) {
    if (clock.monotonic() > limit) {
      throw new Error(`${server.registeredCount()} of ${agents} registered in time`);
    }
    await clock.run(100);
  }
}

function perSecond(times: readonly number[]): readonly number[] {
  const seconds: number[] = [];
  for (const time of times) {
    const at = Math.floor(time / 1_000);
    while (seconds.length <= at) {
      seconds.push(0);
    }
    seconds[at] = (seconds[at] ?? 0) + 1;
  }
  return seconds;
}
