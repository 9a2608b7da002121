/**
 * Streams into a pod (exec, attach, port-forward) over the Kubernetes WebSocket protocol: each
 * binary message is the number of a channel and its bytes (kubernetes.io, "WebSocket tunneling"
 * and k8s.io/apimachinery/pkg/util/remotecommand).
 */
import { AgentError } from '../../core/errors.ts';
import type { Clock, WebSocketConnection, WebSocketDial, WebSocketEnd } from '../../core/ports.ts';
import type { KubernetesCredentials } from './credentials.ts';

export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;
/** How the program ended, as a Status. */
export const STATUS = 3;
/** Of version 5: its payload is the channel that has ended. */
const CLOSE = 255;

/** Version 5 can end a channel of ours (stdin); version 4 cannot. */
export const CHANNELS_V5 = 'v5.channel.k8s.io';
export const CHANNELS_V4 = 'v4.channel.k8s.io';

const DIAL_TIMEOUT_MS = 15_000;
const PING_INTERVAL_MS = 15_000;
/** A stream from which nothing came for so long, not even a pong, is dead. */
const SILENCE_LIMIT_MS = 45_000;
/** The API server sends at most 32 KiB at once; room for others. */
const MESSAGE_LIMIT_BYTES = 1024 * 1024;
const WENT_SILENT = 'the API server went silent';
/** Bytes of ours in one message. */
const CHUNK_BYTES = 32 * 1024;

export interface ChannelRequest {
  /** `/api/v1/namespaces/<namespace>/pods/<pod>/exec`. */
  readonly path: string;
  /** A name may come several times: `command`. */
  readonly query: readonly (readonly [string, string])[];
  /** Offered, the preferred one first. */
  readonly protocols: readonly string[];
}

export interface ChannelHandlers {
  /** The bytes belong to the receiver. */
  data(channel: number, bytes: Uint8Array): void;
  /** Once, and last. @param reason for people; also when this side ended it */
  ended(reason: string): void;
}

export interface ChannelStream {
  readonly protocol: string;
  send(channel: number, bytes: Uint8Array): void;
  /** Tells that nothing more comes on a channel; needs version 5. */
  closeChannel(channel: number): void;
  bufferedBytes(): number;
  close(): void;
}

interface ChannelDeps {
  readonly clock: Clock;
  /** WebSockets to a server with a certificate of this authority (PEM). */
  readonly dialTrusting: (ca: string) => WebSocketDial;
  readonly credentials: KubernetesCredentials;
}

/**
 * Resolves when the API server has taken the stream; it ends with `ended` from then on. The signal
 * ends it at any time.
 * @throws AgentError NOT_FOUND, KUBERNETES_API: nothing has begun; COMMAND_OUTCOME_UNKNOWN,
 * INTERRUPTED: Kubernetes may have begun what the stream is for
 */
export type OpenChannels = (
  request: ChannelRequest,
  handlers: ChannelHandlers,
  signal: AbortSignal,
) => Promise<ChannelStream>;

export function channelOpener(deps: ChannelDeps): OpenChannels {
  return async (request, handlers, signal) => {
    const first = await dialOnce(deps, request, handlers, signal);
    if (!isRejection(first)) {
      return first;
    }
    if (first.status !== 401) {
      throw refused(request.path, first.status);
    }
    // The token may have been renewed, or minted anew by root: look once more.
    deps.credentials.reload();
    const second = await dialOnce(deps, request, handlers, signal);
    if (isRejection(second)) {
      throw refused(request.path, second.status);
    }
    return second;
  };
}

type Rejection = NonNullable<WebSocketEnd['rejection']>;

function isRejection(value: ChannelStream | Rejection): value is Rejection {
  return 'status' in value;
}

async function dialOnce(
  deps: ChannelDeps,
  request: ChannelRequest,
  handlers: ChannelHandlers,
  signal: AbortSignal,
): Promise<ChannelStream | Rejection> {
  const { server, ca, token } = await deps.credentials.current();
  const options = {
    headers: { authorization: `Bearer ${token}` },
    messageLimitBytes: MESSAGE_LIMIT_BYTES,
    protocols: request.protocols,
  };
  const answer = Promise.withResolvers<ChannelStream | Rejection>();
  const over = new AbortController();
  let opened = false;
  let heardAt = deps.clock.monotonic();
  const heard = () => {
    heardAt = deps.clock.monotonic();
  };
  /** @param failure what the opener is told when it still waits; others are told the reason */
  const end = (reason: string, failure: AgentError) => {
    if (!over.signal.aborted) {
      over.abort();
      signal.removeEventListener('abort', onAbort);
      opened ? handlers.ended(reason) : answer.reject(failure);
    }
  };
  const drop = (reason: string, failure: AgentError) => {
    end(reason, failure);
    socket.terminate();
  };
  const onAbort = () => drop('it was interrupted', interrupted(request.path));
  const socket = deps.dialTrusting(ca)(urlOf(server, request), options, {
    opened: (protocol = '') => {
      heard();
      if (!request.protocols.includes(protocol)) {
        drop('', unclear(request.path, 'it speaks another protocol'));
      } else if (!over.signal.aborted) {
        opened = true;
        answer.resolve(channelStream(socket, protocol));
      }
    },
    message: (data) => {
      heard();
      const channel = typeof data === 'string' ? undefined : data[0];
      if (typeof data !== 'string' && channel !== undefined && !over.signal.aborted) {
        handlers.data(channel, new Uint8Array(data.subarray(1)));
      }
    },
    heard,
    part: heard,
    closed: (last) => {
      if (last.rejection !== undefined) {
        answer.resolve(last.rejection);
      }
      const reason = last.reason === '' ? `close code ${last.code}` : last.reason;
      end(reason, last.unreachable ? unreachable(server, reason) : unclear(request.path, reason));
    },
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  const probe = {
    ping: () => socket.ping(),
    isAlive: () => opened && deps.clock.monotonic() - heardAt <= SILENCE_LIMIT_MS,
    drop: () => drop(WENT_SILENT, unclear(request.path, WENT_SILENT)),
  };
  // Ends with the stream; `drop` tells whoever is concerned.
  void endWhenSilent(deps.clock, probe, over.signal);
  return await answer.promise;
}

async function endWhenSilent(
  clock: Clock,
  probe: { isAlive(): boolean; ping(): void; drop(): void },
  over: AbortSignal,
): Promise<void> {
  let waitMs = DIAL_TIMEOUT_MS;
  while (await clock.sleep(waitMs, over)) {
    if (!probe.isAlive()) {
      probe.drop();
      return;
    }
    probe.ping();
    waitMs = PING_INTERVAL_MS;
  }
}

function urlOf(server: string, request: ChannelRequest): string {
  const url = new URL(request.path, server.replace(/^http/, 'ws'));
  for (const [name, value] of request.query) {
    url.searchParams.append(name, value);
  }
  return url.href;
}

function channelStream(socket: WebSocketConnection, protocol: string): ChannelStream {
  return {
    protocol,
    send: (channel, bytes) => {
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        socket.sendBinary([Uint8Array.of(channel), bytes.subarray(at, at + CHUNK_BYTES)]);
      }
    },
    closeChannel: (channel) => socket.sendBinary([Uint8Array.of(CLOSE, channel)]),
    bufferedBytes: () => socket.bufferedBytes(),
    close: () => socket.close(1000, ''),
  };
}

function refused(path: string, status: number): AgentError {
  const text = `Kubernetes refused the stream ${path} with HTTP status ${status}`;
  return new AgentError(status === 404 ? 'NOT_FOUND' : 'KUBERNETES_API', text, {
    hint:
      status === 403
        ? "The agent's account lacks this permission; root can give it: pipeops-agent policy apply --preset operate"
        : 'Check that the pod runs and: journalctl -u k3s',
    details: { status },
  });
}

function unreachable(server: string, reason: string): AgentError {
  const text = `Cannot reach Kubernetes at ${new URL(server).host} for a stream: ${reason}`;
  return new AgentError('KUBERNETES_API', text, {
    hint: 'Check that k3s runs: systemctl status k3s',
  });
}

/** The request was sent: what it asks for may have begun although no answer came. */
function unclear(path: string, reason: string): AgentError {
  const text = `The stream ${path} broke while it was opened: ${reason}`;
  return new AgentError('COMMAND_OUTCOME_UNKNOWN', text, {
    hint: 'Look whether it had its effect, then send a new command if need be',
  });
}

function interrupted(path: string): AgentError {
  return new AgentError('INTERRUPTED', `The stream ${path} was interrupted while it was opened`);
}
