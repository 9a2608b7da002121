import type { Clock, Log } from '../../core/ports.ts';
import { childSignal } from '../../core/waiting.ts';
import type { RegisterPayload, RegisterSuccessPayload } from '../../protocol/session/messages.ts';
import type { ServiceTokens } from '../credentials/service-token.ts';
import type { Pace } from '../session/pace.ts';
import type {
  AttachedDataPlane,
  DataPlane,
  IsLeaving,
  SessionLink,
  Standing,
  StatusSource,
} from '../session/ports.ts';
import type { SessionState } from '../session/state.ts';
import { type CommandChannelDeps, commandChannel } from './command-channel.ts';
import type { Connection, ConnectionHandlers } from './connection.ts';
import { dispatcher, type Live } from './dispatcher.ts';
import { heartbeatPayload, heartbeats } from './heartbeat.ts';
import { registrationWait } from './registration.ts';
import { statusReporter } from './status-reporter.ts';

/**
 * When the agent leaves a connection that works: how long the requests under way on it may go on,
 * and how often they are looked at. Shorter than the time that a service has for its stop.
 */
export const DRAIN_MS = 8_000;
const DRAIN_CHECK_MS = 20;

export interface ConversationDeps extends CommandChannelDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: SessionState;
  readonly pace: Pace;
  readonly tokens: ServiceTokens;
  readonly status: StatusSource;
  readonly standing: () => Standing;
  readonly dataPlane: DataPlane | undefined;
  readonly isLeaving: IsLeaving;
}

export interface ConversationOptions {
  readonly agentId: string;
  readonly version: string;
}

/** The control plane's name for this cluster, and what it understands beyond the plain protocol. */
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
   * Exchanges heartbeats, commands, status and the data plane, until the connection ends, the
   * control plane has forgotten this agent, or the signal. At the signal the requests under way in
   * the data plane may end first. Once forgotten, the data plane goes on until `talk` is called
   * again or the connection ends.
   */
  talk(connection: Connection, peer: Peer, signal: AbortSignal): Promise<'ended' | 'forgotten'>;
}

export function conversation(deps: ConversationDeps, options: ConversationOptions): Conversation {
  const dispatch = dispatcher(deps, options);
  const planes = planeOfConnection(deps);
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
      const plane = planes.attach(connection, peer);
      const ids = { ...options, clusterId: peer.clusterId };
      dispatch.speak(connection);
      const live = begin(deps, ids, connection, peer, plane, () => {
        isForgotten = true;
        end();
      });
      dispatch.serve(live);
      try {
        await Promise.all([
          live.heartbeats.run(inner),
          live.commands?.run(inner),
          live.reporter?.run(inner),
        ]);
        if (signal.aborted && (await deps.isLeaving())) {
          live.heartbeats.sayGoodbye();
        }
        if (live.plane !== undefined && signal.aborted) {
          await drained(deps.clock, connection, live.plane);
        }
      } finally {
        end();
        if (!isForgotten) {
          dispatch.serve(undefined);
          planes.close();
        }
      }
      return isForgotten ? 'forgotten' : 'ended';
    },
  };
}

/** Waits until everything under way has ended and left, the connection is gone, or time is up. */
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

interface Plane {
  readonly plane: AttachedDataPlane | undefined;
  readonly binaryIsTunnel: () => boolean;
}

/**
 * The data plane of one connection. Its requests go on when the agent registers again as the same
 * cluster.
 */
function planeOfConnection(deps: ConversationDeps) {
  let attached: (Plane & { readonly peer: Peer }) | undefined;
  const close = () => {
    const { plane } = attached ?? {};
    attached = undefined;
    plane?.close();
  };
  return {
    close,
    attach: (connection: Connection, peer: Peer): Plane => {
      if (attached === undefined || !isSameCluster(attached.peer, peer)) {
        close();
        attached = { ...attachPlane(deps, connection, peer), peer };
        connection.signal.addEventListener('abort', close, { once: true });
      }
      return attached;
    },
  };
}

/**
 * Whether everything that a data plane was told of its connection also holds for the other peer.
 */
function isSameCluster(one: Peer, other: Peer): boolean {
  return (
    one.clusterId === other.clusterId &&
    one.clusterUuid === other.clusterUuid &&
    one.supportsFlowControl === other.supportsFlowControl
  );
}

function attachPlane(deps: ConversationDeps, connection: Connection, peer: Peer): Plane {
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
  return { plane: deps.dataPlane?.attach(link), binaryIsTunnel: () => tunnelAnswered };
}

function begin(
  deps: ConversationDeps,
  ids: Parameters<typeof heartbeatPayload>[0],
  connection: Connection,
  peer: Peer,
  plane: Plane,
  forgotten: () => void,
): Live {
  // What others do not know is not sent to them.
  const standing = () =>
    peer.supportsStatusReports ? deps.standing() : { ...deps.standing(), health: {} };
  return {
    heartbeats: heartbeats(deps, connection, () =>
      heartbeatPayload(ids, deps.status.summary(), standing()),
    ),
    commands: peer.supportsCommands ? commandChannel(deps, connection) : undefined,
    reporter: peer.supportsStatusReports ? statusReporter(deps, connection) : undefined,
    plane: plane.plane,
    binaryIsTunnel: plane.binaryIsTunnel,
    forgotten,
  };
}
