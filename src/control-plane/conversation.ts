import { messageOf } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import {
  type Envelope,
  HeartbeatAckPayload,
  type RegisterPayload,
  type RegisterSuccessPayload,
} from '../protocol/messages.ts';
import { type CommandChannel, type CommandChannelDeps, commandChannel } from './command-channel.ts';
import { type Connection, type ConnectionHandlers, parseEnvelope } from './connection.ts';
import { childSignal } from './deadline.ts';
import { type Heartbeats, heartbeatPayload, heartbeats } from './heartbeat.ts';
import { limitedLog } from './limited-log.ts';
import type { Pace } from './pace.ts';
import type { AttachedDataPlane, DataPlane, SessionLink, StatusSource } from './ports.ts';
import {
  errorMessage,
  type RegistrationWait,
  registrationWait,
  saysForgotten,
} from './registration.ts';
import type { ServiceTokens } from './service-token.ts';
import type { SessionState } from './session-state.ts';
import { type StatusReporter, statusReporter } from './status-reporter.ts';
import { unknownTypes } from './unknown-types.ts';

/**
 * When the agent leaves a connection that works: how long what is under way on it may go on, and how
 * often it is looked at. Shorter than what a service has for its stop.
 */
export const DRAIN_MS = 8_000;
const DRAIN_CHECK_MS = 20;

/** `{`, with which a JSON envelope begins. */
const OPENING_BRACE = 0x7b;

export interface ConversationDeps extends CommandChannelDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: SessionState;
  readonly pace: Pace;
  readonly tokens: ServiceTokens;
  readonly status: StatusSource;
  readonly dataPlane: DataPlane | undefined;
}

export interface ConversationOptions {
  readonly agentId: string;
  readonly version: string;
}

/** What the control plane calls this cluster, and what it understands beside the plain protocol. */
export interface Peer {
  readonly clusterId: string;
  readonly clusterUuid: string;
  readonly supportsCommands: boolean;
  readonly supportsStatusReports: boolean;
  readonly supportsFlowControl: boolean;
}

/** What is said over one connection. */
export interface Conversation {
  readonly handlers: ConnectionHandlers;
  /** Sends `register` and waits for its answer. Errors: see `RegistrationWait`. */
  register(
    connection: Connection,
    payload: RegisterPayload,
    signal: AbortSignal,
  ): Promise<RegisterSuccessPayload>;
  /**
   * Heartbeats, commands, status and the data plane, until the connection ends, the control plane
   * has forgotten this agent, or the signal: then what is under way in the data plane may end first.
   */
  talk(connection: Connection, peer: Peer, signal: AbortSignal): Promise<'ended' | 'forgotten'>;
}

/** What belongs to one registered connection. */
interface Live {
  readonly heartbeats: Heartbeats;
  readonly commands: CommandChannel | undefined;
  readonly reporter: StatusReporter | undefined;
  readonly plane: AttachedDataPlane | undefined;
  /** The data plane has answered `gateway_hello`: from then on every binary message is its own. */
  readonly binaryIsTunnel: () => boolean;
  readonly forgotten: () => void;
}

export function conversation(deps: ConversationDeps, options: ConversationOptions): Conversation {
  const dispatch = dispatcher(deps, options);
  let registrations = 0;
  return {
    handlers: dispatch.handlers,
    register: async (connection, payload, signal) => {
      registrations += 1;
      const requestId = `req_${deps.clock.now().getTime()}${registrations}_${options.agentId}`;
      const wait = registrationWait(deps.clock, requestId);
      const either = childSignal(signal);
      connection.signal.addEventListener('abort', either.end, { once: true });
      dispatch.speak(connection);
      dispatch.waiting(wait);
      try {
        connection.send('register', payload, requestId);
        return await wait.answer(either.signal);
      } catch (thrown) {
        throw connection.signal.aborted && !signal.aborted ? await connection.ended : thrown;
      } finally {
        dispatch.waiting(undefined);
        either.end();
      }
    },
    talk: async (connection, peer, signal) => {
      const { signal: inner, end } = childSignal(signal);
      connection.signal.addEventListener('abort', end, { once: true });
      let isForgotten = false;
      const live = begin(deps, options, connection, peer, () => {
        isForgotten = true;
        end();
      });
      dispatch.speak(connection, live);
      try {
        await Promise.all([
          live.heartbeats.run(inner),
          live.commands?.run(inner),
          live.reporter?.run(inner),
        ]);
        if (live.plane !== undefined && signal.aborted) {
          await drained(deps.clock, connection, live.plane);
        }
      } finally {
        end();
        dispatch.speak(connection);
        live.plane?.close();
      }
      return isForgotten ? 'forgotten' : 'ended';
    },
  };
}

/** Until all that was under way has ended and left, the connection is gone, or time is up. */
async function drained(
  clock: Clock,
  connection: Connection,
  plane: AttachedDataPlane,
): Promise<void> {
  plane.goAway();
  const endsAt = clock.monotonic() + DRAIN_MS;
  while (
    (plane.underWay() > 0 || connection.bufferedBytes() > 0) &&
    clock.monotonic() < endsAt &&
    (await clock.sleep(DRAIN_CHECK_MS, connection.signal))
  );
}

function begin(
  deps: ConversationDeps,
  options: ConversationOptions,
  connection: Connection,
  peer: Peer,
  forgotten: () => void,
): Live {
  const ids = { ...options, clusterId: peer.clusterId };
  let tunnelAnswered = false;
  const link: SessionLink = {
    kind: connection.kind,
    clusterId: peer.clusterId,
    clusterUuid: peer.clusterUuid,
    windowed: peer.supportsFlowControl,
    send: (type, payload, requestId) => {
      tunnelAnswered ||= type === 'gateway_hello_ack';
      return connection.send(type, payload, requestId);
    },
    sendBinary: connection.sendBinary,
    bufferedBytes: connection.bufferedBytes,
    acceptsServiceToken: deps.tokens.accepts,
  };
  return {
    heartbeats: heartbeats(deps, connection, () => heartbeatPayload(ids, deps.status.summary())),
    commands: peer.supportsCommands ? commandChannel(deps, connection) : undefined,
    reporter: peer.supportsStatusReports ? statusReporter(deps, connection) : undefined,
    plane: deps.dataPlane?.attach(link),
    binaryIsTunnel: () => tunnelAnswered,
    forgotten,
  };
}

interface Dispatcher {
  readonly handlers: ConnectionHandlers;
  /** Whom answers go to, and who takes what comes. */
  speak(connection: Connection, live?: Live): void;
  waiting(wait: RegistrationWait | undefined): void;
}

/** Brings each message to who understands it. A bad one is logged, never a flood of lines. */
function dispatcher(deps: ConversationDeps, options: ConversationOptions): Dispatcher {
  const warn = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  const fallback = unknownTypes(deps, options);
  let connection: Connection | undefined;
  let live: Live | undefined;
  let wait: RegistrationWait | undefined;
  const broken = limitedLog(deps.clock, (text, fields) => deps.log.error(text, fields));
  // What a stolen control plane sends must not end the process.
  const guarded = (type: string, handle: () => void) => {
    try {
      handle();
    } catch (thrown) {
      broken('a message of the data plane could not be handled', {
        message_type: type,
        error: messageOf(thrown),
      });
    }
  };
  const unreadable = (problem: string) =>
    warn('the control plane sent a message that cannot be read', { error: problem });
  const message = (envelope: Envelope) => {
    deps.state.heard();
    if (wait?.offer(envelope) === true) {
      return;
    }
    if (live?.plane !== undefined && deps.dataPlane?.types.includes(envelope.type) === true) {
      guarded(envelope.type, () => live?.plane?.message(envelope));
      return;
    }
    switch (envelope.type) {
      case 'ping':
        connection?.send(
          'pong',
          { timestamp: deps.clock.now().toISOString() },
          envelope.request_id,
        );
        break;
      case 'heartbeat_ack':
        live?.heartbeats.acknowledged();
        deps.pace.obey(HeartbeatAckPayload.safeParse(envelope.payload ?? {}).data?.pace);
        break;
      case 'error':
        errorReceived(envelope, live, warn);
        break;
      case 'command':
      case 'command_cancel':
      case 'command_ack':
        live?.commands?.message(envelope.type, envelope.payload);
        break;
      case 'status_request':
        live?.reporter?.requested();
        break;
      case 'pong':
      case 'register_success':
      case 'register_in_progress':
        break; // Late, or of a registration given up.
      default:
        if (connection !== undefined) {
          fallback(connection, envelope);
        }
    }
  };
  return {
    handlers: {
      message,
      unreadable,
      binary: (data) => {
        if (live?.plane !== undefined && (live.binaryIsTunnel() || data[0] !== OPENING_BRACE)) {
          deps.state.heard();
          guarded('binary', () => live?.plane?.binary(data));
          return;
        }
        // Old controllers send their JSON in binary messages.
        const envelope = parseEnvelope(Buffer.from(data).toString('utf8'));
        if (typeof envelope === 'string') {
          unreadable(envelope);
        } else {
          message(envelope);
        }
      },
    },
    speak: (to, who) => {
      connection = to;
      live = who;
    },
    waiting: (next) => {
      wait = next;
    },
  };
}

function errorReceived(
  envelope: Envelope,
  live: Live | undefined,
  warn: (message: string, fields: { error: string }) => void,
): void {
  warn('the control plane reports an error', {
    error: errorMessage('It says', envelope).message,
  });
  if (saysForgotten(envelope)) {
    live?.forgotten();
  }
}
