import { AgentError } from '../../core/errors.ts';
import { troubleHint } from '../../core/network-trouble.ts';
import type { Clock, WebSocketConnection, WebSocketDial, WebSocketEnd } from '../../core/ports.ts';
import { withDeadline } from '../../core/waiting.ts';
import type { ParsedJson } from '../../protocol/bounded-json.ts';
import { readEnvelope } from '../../protocol/session/envelope.ts';
import {
  CLOSE_CODES,
  type Envelope,
  MESSAGE_LIMIT_BYTES,
} from '../../protocol/session/messages.ts';
import {
  BETWEEN_HINT,
  LATER_HINT,
  SessionError,
  SILENT_HINT,
  tokenRejected,
} from '../session/failure.ts';
import { retryAfterMs } from '../session/pace.ts';
import { PING_INTERVAL_MS, type SlowLink, slowLink } from './slow-link.ts';
import { textReader } from './text-reader.ts';

/** From looking up the name to the answer of the upgrade. */
const DIAL_TIMEOUT_MS = 15_000;
/**
 * A peer answers pings, so one from which nothing came for this long is dead. It is noticed within
 * 15 s; later only when one message under way was too big for the measured link to carry in good
 * time.
 */
const SILENCE_LIMIT_MS = 14_000;
/**
 * More bytes than this waiting to leave mean that the peer does not read: the connection is given
 * up.
 */
const OUTGOING_LIMIT_BYTES = 16 * 1024 * 1024;

export type ConnectionKind = 'controller' | 'gateway';

export interface Connection {
  readonly kind: ConnectionKind;
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal;
  /** Resolves with why it is gone. */
  readonly ended: Promise<AgentError>;
  /** False when it is gone. */
  send(type: string, payload: Readonly<Record<string, unknown>>, requestId?: string): boolean;
  /** One message of all parts. */
  sendBinary(parts: readonly Uint8Array[]): boolean;
  bufferedBytes(): number;
  /** Monotonic ms at which a part came of a message whose end has not come yet. */
  partAt(): number;
  /** @param why the value that `ended` resolves with */
  close(code: number, why: AgentError): void;
}

export interface ConnectionTarget {
  readonly kind: ConnectionKind;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ConnectionHandlers {
  /** @param chars how long its text was */
  message(envelope: Envelope, chars: number): void;
  /**
   * The data may be reused when it has returned.
   * @returns 'text' when it is JSON, and is to be read as such
   */
  binary(data: Uint8Array): 'taken' | 'text';
  /** The text that came is not an envelope. */
  unreadable(problem: string): void;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly dial: WebSocketDial;
}

/**
 * One WebSocket: dialled within a deadline, watched for life by ping frames, bounded in both
 * directions. Everything that belongs to it ends with it.
 * @throws AgentError TOKEN_REJECTED (401, 403), CONTROL_PLANE_ERROR (another answer than 101:
 *   with its status), CONTROL_PLANE_UNREACHABLE, TIMEOUT, INTERRUPTED
 */
export async function openConnection(
  deps: ConnectionDeps,
  target: ConnectionTarget,
  handlers: ConnectionHandlers,
  signal: AbortSignal,
): Promise<Connection> {
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<AgentError>();
  const gone = new AbortController();
  const { host } = new URL(target.url);
  let heardAt = deps.clock.monotonic();
  let partAt = Number.NEGATIVE_INFINITY;
  let why: AgentError | undefined;
  const link = slowLink({ clock: deps.clock, ping: (mark) => socket.ping(mark) });
  const readText = textReader(
    { clock: deps.clock, pause: () => socket.pause(), resume: () => socket.resume() },
    (json, chars) => take(handlers, json, chars),
    gone.signal,
  );
  const socket: WebSocketConnection = deps.dial(
    target.url,
    { headers: target.headers, messageLimitBytes: MESSAGE_LIMIT_BYTES },
    {
      opened: () => opened.resolve(),
      heard: (mark = '') => {
        heardAt = deps.clock.monotonic();
        link.ponged(mark);
      },
      message: (data) => {
        heardAt = deps.clock.monotonic();
        if (!gone.signal.aborted) {
          receive(handlers, readText, data);
        }
      },
      // A part of a big message on a slow link: pongs wait behind it, too.
      part: () => {
        heardAt = deps.clock.monotonic();
        partAt = heardAt;
      },
      closed: (end) => {
        const error = why ?? errorOf(deps.clock, host, end);
        opened.reject(error);
        ended.resolve(error);
        gone.abort();
      },
    },
  );
  const give = (code: number, error: AgentError) => {
    why ??= error;
    gone.abort();
    ended.resolve(why);
    if (code === CLOSE_CODES.silent) {
      socket.terminate();
    } else {
      socket.close(code, '');
    }
  };
  const limit = { what: `Connecting to ${host}`, ms: DIAL_TIMEOUT_MS };
  try {
    await withDeadline(deps.clock, limit, signal, () => opened.promise);
  } catch (thrown) {
    socket.terminate();
    throw thrown;
  }
  heardAt = deps.clock.monotonic();
  const connection = { ...senders(deps.clock, socket, link, gone.signal, give), kind: target.kind };
  void watchSilence(deps.clock, { host, link, heardAt: () => heardAt }, gone.signal, give);
  const about = { signal: gone.signal, ended: ended.promise, partAt: () => partAt };
  return { ...connection, ...about, close: give };
}

/** Why a connection ended. When the agent stops, the connection is still open and is left next. */
export async function endOf(connection: Connection, signal: AbortSignal): Promise<AgentError> {
  return signal.aborted ? interrupted() : await connection.ended;
}

/**
 * Closes a connection that works.
 * @param signal aborted when the agent stops
 */
export function leave(connection: Connection, signal: AbortSignal): void {
  connection.close(signal.aborted ? CLOSE_CODES.goingAway : CLOSE_CODES.normal, interrupted());
}

function interrupted(): AgentError {
  return new AgentError('INTERRUPTED', 'The session was ended');
}

export function replaced(): AgentError {
  return new AgentError('INTERRUPTED', 'The gateway takes over');
}

function receive(
  handlers: ConnectionHandlers,
  readText: (text: string) => void,
  data: string | Uint8Array,
): void {
  if (typeof data === 'string') {
    readText(data);
  } else if (handlers.binary(data) === 'text') {
    readText(Buffer.from(data).toString('utf8'));
  }
}

function take(handlers: ConnectionHandlers, json: ParsedJson, chars: number): void {
  const envelope = envelopeOf(json);
  if (typeof envelope === 'string') {
    handlers.unreadable(envelope);
  } else {
    handlers.message(envelope, chars);
  }
}

/** @returns the envelope, or what is wrong with it */
function envelopeOf(json: ParsedJson): Envelope | string {
  return json.problem ?? readEnvelope(json.value);
}

function senders(
  clock: Clock,
  socket: WebSocketConnection,
  link: SlowLink,
  gone: AbortSignal,
  give: (code: number, error: AgentError) => void,
): Pick<Connection, 'send' | 'sendBinary' | 'bufferedBytes'> {
  const mayWrite = () => {
    if (gone.aborted) {
      return false;
    }
    if (socket.bufferedBytes() > OUTGOING_LIMIT_BYTES) {
      const message = `The peer does not read: ${OUTGOING_LIMIT_BYTES} bytes wait for it`;
      const error = new AgentError('CONTROL_PLANE_UNREACHABLE', message, { hint: SILENT_HINT });
      give(CLOSE_CODES.silent, error);
      return false;
    }
    return true;
  };
  return {
    send: (type, payload, requestId) => {
      const text = JSON.stringify({
        type,
        request_id: requestId, // JSON leaves out what is undefined.
        payload,
        timestamp: clock.now().toISOString(),
      });
      if (!mayWrite()) {
        return false;
      }
      socket.send(text);
      link.sent(Buffer.byteLength(text));
      return true;
    },
    // Not counted: the peer's windows limit how much of it can wait, and it answers with new
    // windows.
    sendBinary: (parts) => {
      if (!mayWrite()) {
        return false;
      }
      socket.sendBinary(parts);
      return true;
    },
    bufferedBytes: () => socket.bufferedBytes(),
  };
}

interface WatchedPeer {
  readonly host: string;
  readonly link: SlowLink;
  readonly heardAt: () => number;
}

async function watchSilence(
  clock: Clock,
  { host, link, heardAt }: WatchedPeer,
  gone: AbortSignal,
  give: (code: number, error: AgentError) => void,
): Promise<void> {
  while (!gone.aborted) {
    const limitMs = SILENCE_LIMIT_MS + link.patienceMs();
    const leftMs = heardAt() + limitMs - clock.monotonic();
    if (leftMs <= 0) {
      const message = `${host} has been silent for ${Math.round(limitMs / 1_000)} s`;
      const error = new AgentError('CONTROL_PLANE_UNREACHABLE', message, { hint: SILENT_HINT });
      give(CLOSE_CODES.silent, error);
      return;
    }
    link.ask();
    await clock.sleep(Math.min(PING_INTERVAL_MS, leftMs), gone);
  }
}

/** What the end of a WebSocket means to the session. */
function errorOf(clock: Clock, host: string, end: WebSocketEnd): AgentError {
  if (end.rejection !== undefined) {
    const { status, pageBy } = end.rejection;
    if (status === 401 || (status === 403 && pageBy === undefined)) {
      return tokenRejected(status);
    }
    const pauseMs = retryAfterMs(clock, end.rejection.retryAfter);
    const page =
      pageBy === undefined ? '' : ` with a page, by ${pageBy}: not by the control plane,`;
    const message = `${host} answered ${status}${page} instead of opening a WebSocket`;
    const failure = { kind: 'answered', status, retryAfterMs: pauseMs } as const;
    return new SessionError('CONTROL_PLANE_ERROR', message, failure, {
      hint: pageBy === undefined ? LATER_HINT : BETWEEN_HINT,
    });
  }
  if (end.unreachable !== undefined) {
    const message = `Cannot reach ${host}: ${end.reason}`;
    const failure = { kind: 'nobody-there' } as const;
    return new SessionError('CONTROL_PLANE_UNREACHABLE', message, failure, {
      hint: troubleHint(end.unreachable),
    });
  }
  const reason = end.reason === '' ? `with code ${end.code}` : `(${end.code}): ${end.reason}`;
  const message = `${host} closed the connection ${reason}`;
  const kind = end.code === CLOSE_CODES.abnormal ? 'cut-off' : 'other';
  return new SessionError('CONTROL_PLANE_UNREACHABLE', message, { kind }, { hint: LATER_HINT });
}
