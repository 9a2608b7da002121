/** Who takes a message that came over a connection. */
import { messageOf } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { type Envelope, HeartbeatAckPayload } from '../../protocol/session/messages.ts';
import type { Pace } from '../session/pace.ts';
import type { AttachedDataPlane, DataPlane } from '../session/ports.ts';
import type { SessionState } from '../session/state.ts';
import type { CommandChannel } from './command-channel.ts';
import type { Connection, ConnectionHandlers } from './connection.ts';
import { earlyMessages } from './early-messages.ts';
import type { Heartbeats } from './heartbeat.ts';
import { errorMessage, type RegistrationWait, saysForgotten } from './registration.ts';
import type { StatusReporter } from './status-reporter.ts';
import { unknownTypes } from './unknown-types.ts';

/** Only a registered conversation takes these and the messages of the data plane. */
const FOR_TALK: readonly string[] = ['command', 'command_cancel', 'status_request'];

/** `{`, with which a JSON envelope begins. */
const OPENING_BRACE = 0x7b;
/** Byte order mark that some put before their UTF-8. */
const UTF8_MARK = [0xef, 0xbb, 0xbf];
const hasMark = (data: Uint8Array) => UTF8_MARK.every((byte, at) => data[at] === byte);

interface DispatcherDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: SessionState;
  readonly pace: Pace;
  readonly dataPlane: DataPlane | undefined;
}

type Warn = (message: string, fields: { error: string }) => void;

/** What belongs to one registered connection. */
export interface Live {
  readonly heartbeats: Heartbeats;
  readonly commands: CommandChannel | undefined;
  readonly reporter: StatusReporter | undefined;
  readonly plane: AttachedDataPlane | undefined;
  /**
   * The data plane has answered `gateway_hello`: from then on every binary message belongs to the
   * tunnel.
   */
  readonly binaryIsTunnel: () => boolean;
  readonly forgotten: () => void;
}

export interface Dispatcher {
  readonly handlers: ConnectionHandlers;
  /** The connection that answers go to. */
  speak(connection: Connection): void;
  /**
   * Who takes the messages. While the agent registers again, the old ones keep taking them until
   * `register_success`. Messages behind it are kept for the new ones.
   */
  serve(live: Live | undefined): void;
  waiting(wait: RegistrationWait | undefined): void;
}

/** Hands each message to the part that understands it. Bad ones are logged, at a limited rate. */
export function dispatcher(
  deps: DispatcherDeps,
  options: { readonly version: string },
): Dispatcher {
  const warn = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  const own = ownMessages(deps, options, warn);
  let connection: Connection | undefined;
  let live: Live | undefined;
  let wait: RegistrationWait | undefined;
  const early = earlyMessages();
  const isForTalk = (type: string) =>
    FOR_TALK.includes(type) || deps.dataPlane?.types.includes(type) === true;
  const broken = limitedLog(deps.clock, (text, fields) => deps.log.error(text, fields));
  // No message of a stolen control plane may end the process.
  const guarded = (type: string, handle: () => void) => {
    try {
      handle();
    } catch (thrown) {
      broken('a message of the control plane could not be handled', {
        message_type: type,
        error: messageOf(thrown),
      });
    }
  };
  const unreadable = (problem: string) =>
    warn('the control plane sent a message that cannot be read', { error: problem });
  const message = (envelope: Envelope, chars: number) =>
    guarded(envelope.type, () => take(envelope, chars));
  const take = (envelope: Envelope, chars: number) => {
    deps.state.heard();
    if (wait?.offer(envelope) === true) {
      live = envelope.type === 'register_success' ? undefined : live;
      return;
    }
    if (live === undefined && isForTalk(envelope.type)) {
      if (early.keep(chars, () => message(envelope, chars))) {
        return;
      }
    }
    if (live?.plane !== undefined && deps.dataPlane?.types.includes(envelope.type) === true) {
      live.plane.message(envelope);
      return;
    }
    own(connection, live, envelope, chars);
  };
  const binary = (data: Uint8Array): 'taken' | 'text' => {
    const isJson = data[hasMark(data) ? UTF8_MARK.length : 0] === OPENING_BRACE;
    if (live?.plane !== undefined && (live.binaryIsTunnel() || !isJson)) {
      deps.state.heard();
      guarded('binary', () => live?.plane?.binary(data));
      return 'taken';
    }
    if (live === undefined && deps.dataPlane !== undefined && !isJson) {
      const copy = new Uint8Array(data);
      if (early.keep(copy.length, () => void binary(copy))) {
        return 'taken';
      }
    }
    // Old controllers send their JSON in binary messages.
    return 'text';
  };
  return {
    handlers: {
      message,
      unreadable,
      binary,
    },
    speak: (to) => {
      connection = to;
    },
    serve: (who) => {
      live = who;
      if (who !== undefined) {
        early.deliver();
      }
    },
    waiting: (next) => {
      wait = next;
    },
  };
}

/** The messages of the session itself. */
function ownMessages(deps: DispatcherDeps, options: { readonly version: string }, warn: Warn) {
  const fallback = unknownTypes(deps, options);
  return (
    connection: Connection | undefined,
    live: Live | undefined,
    envelope: Envelope,
    chars: number,
  ): void => {
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
        deps.state.toldTime(envelope.timestamp ?? '');
        deps.pace.obey(HeartbeatAckPayload.safeParse(envelope.payload ?? {}).data?.pace);
        break;
      case 'error':
        errorReceived(envelope, live, warn);
        break;
      case 'command':
      case 'command_cancel':
      case 'command_ack':
        live?.commands?.message(envelope.type, envelope.payload, chars);
        break;
      case 'status_request':
        live?.reporter?.requested();
        break;
      case 'pong':
      case 'register_success':
      case 'register_in_progress':
        break; // A late answer, or one to a registration that was given up.
      default:
        if (connection !== undefined) {
          fallback(connection, envelope);
        }
    }
  };
}

function errorReceived(envelope: Envelope, live: Live | undefined, warn: Warn): void {
  warn('the control plane reports an error', {
    error: errorMessage('It says', envelope).message,
  });
  if (saysForgotten(envelope)) {
    live?.forgotten();
  }
}
