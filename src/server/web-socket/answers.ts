/** What is answered to messages of `/ws`. */
import { toAgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import {
  SOCKET_QUESTIONS,
  type SocketMessage,
  type SocketMetrics,
  type SocketQuestion,
  type SocketStatus,
  type SocketStatusResponse,
} from '../../protocol/local-web-socket.ts';
import type { ApiSources } from '../api/sources.ts';

const MIB = 1024 * 1024;
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;
/** Characters of a question that is not known that are repeated. */
const UNKNOWN_LENGTH_MAX = 64;

interface Deps {
  readonly clock: Clock;
  readonly sources: Pick<ApiSources, 'detailed' | 'features' | 'runtime'>;
}

type Reply = Pick<SocketMessage, 'type' | 'data'>;

/** The first message. */
export function greeting(deps: Deps, signal: AbortSignal): Promise<string> {
  return messageOf(deps, async () => {
    const { agent } = await deps.sources.detailed(signal);
    const data: SocketStatus = {
      agent_id: agent.id,
      status: 'connected',
      features: (await deps.sources.features()).features,
    };
    return { type: 'status', data };
  });
}

/** Never rejects: an error is an answer. @param text the question, as it came */
export function answerTo(deps: Deps, text: string, signal: AbortSignal): Promise<string> {
  const type = typeOf(text);
  const question = SOCKET_QUESTIONS.find((each) => each === type);
  return messageOf(deps, async () =>
    question === undefined
      ? failed(`Unknown message type: ${type.slice(0, UNKNOWN_LENGTH_MAX)}`)
      : await ANSWERS[question](deps, signal),
  );
}

const ANSWERS: Readonly<
  Record<SocketQuestion, (deps: Deps, signal: AbortSignal) => Promise<Reply>>
> = {
  ping: async ({ clock }) => ({ type: 'pong', data: { timestamp: clock.now().toISOString() } }),
  get_status: async ({ sources }, signal) => {
    const { agent, nodes, ready, reasons } = await sources.detailed(signal);
    const { features } = await sources.features();
    const [first] = reasons;
    const data: SocketStatusResponse = {
      agent_id: agent.id,
      uptime: goDuration(agent.uptime_seconds),
      ready,
      ...(first === undefined ? {} : { error: first.message }),
      cluster_status: nodes ? { nodes: nodes.total, nodes_ready: nodes.ready } : null,
      tunnel: { enabled: features.tunnel, type: 'yamux' },
      features,
    };
    return { type: 'status_response', data };
  },
  get_metrics: async ({ sources }) => {
    const { memory, uptime_seconds, timestamp } = sources.runtime();
    const data: SocketMetrics = {
      memory: {
        alloc_mb: Math.round(memory.heap_used_bytes / MIB),
        sys_mb: Math.round(memory.rss_bytes / MIB),
      },
      goroutines: 1,
      uptime: goDuration(uptime_seconds),
      timestamp,
    };
    return { type: 'metrics_response', data };
  },
};

async function messageOf({ clock }: Deps, reply: () => Promise<Reply>): Promise<string> {
  const { type, data } = await reply().catch((thrown: unknown) =>
    failed(toAgentError(thrown).message),
  );
  const message: SocketMessage = { type, timestamp: clock.now().toISOString(), data };
  return JSON.stringify(message);
}

function failed(message: string): Reply {
  return { type: 'error', data: { message } };
}

function typeOf(text: string): string {
  try {
    const { type } = JSON.parse(text) as { readonly type?: unknown };
    return typeof type === 'string' ? type : '';
  } catch {
    return '';
  }
}

/** As Go writes durations: `1h2m3s`. */
function goDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / HOUR_SECONDS);
  const minutes = Math.floor((whole % HOUR_SECONDS) / MINUTE_SECONDS);
  const rest = `${whole % MINUTE_SECONDS}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}
