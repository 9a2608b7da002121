import { AgentError } from '../core/errors.ts';
import type { Log, Random, WebSocketDial } from '../core/ports.ts';
import {
  CLOSE_CODES,
  type RegisterPayload,
  type RegisterSuccessPayload,
  WEBSOCKET_PATH,
} from '../protocol/messages.ts';
import { type Connection, openConnection } from './connection.ts';
import {
  type Conversation,
  type ConversationDeps,
  conversation,
  type Peer,
} from './conversation.ts';
import { controllerAddress, type GatewayPolicy, gatewayAddress } from './gateway.ts';
import type { SessionMemory } from './ports.ts';

/** Registrations over one connection: a peer that keeps forgetting is given up, with backoff. */
const REGISTRATIONS_MAX = 3;

/** What is known of this machine when it registers. */
export type RegistrationFacts = Omit<
  RegisterPayload,
  'agent_id' | 'agent_version' | 'features' | 'metadata' | 'cluster_id' | 'k8s_service_token'
>;

export interface WebSocketSessionDeps extends ConversationDeps {
  readonly log: Log;
  readonly random: Random;
  readonly dial: WebSocketDial;
  /** The bearer token as it is now: it may be replaced while the daemon runs. */
  readonly token: () => Promise<string | undefined>;
  readonly memory: SessionMemory;
  readonly gateway: GatewayPolicy;
  readonly facts: () => Promise<RegistrationFacts>;
}

export interface WebSocketSessionOptions {
  readonly agentId: string;
  readonly version: string;
  /** `https://…`; its path is replaced, its query kept. */
  readonly apiUrl: string;
  /** The token may cross in clear text to hosts that are not this one. */
  readonly allowInsecure: boolean;
}

/** The session is up. */
export type OnLive = (kind: Connection['kind'], peer: Peer) => void;

/**
 * One life of the WebSocket session: at the gateway of an earlier registration, or at the controller
 * and from there at the gateway that it names.
 * @returns why it ended
 * @throws AgentError why it did not come to be; see `openConnection` and `RegistrationWait`
 */
export async function webSocketSession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  const known = deps.memory.read();
  if (known?.gatewayUrl !== undefined && deps.gateway.allowed()) {
    return gatewaySession(deps, options, known.gatewayUrl, known, onLive, signal);
  }
  const talk = conversation(deps, options);
  const url = controllerAddress(options.apiUrl, WEBSOCKET_PATH);
  const headers = await authorization(deps, options);
  const connection = await openConnection(
    deps,
    { kind: 'controller', url, headers },
    talk.handlers,
    signal,
  );
  try {
    return await controllerSession(deps, options, talk, connection, onLive, signal);
  } finally {
    connection.close(
      signal.aborted ? CLOSE_CODES.goingAway : CLOSE_CODES.normal,
      new AgentError('INTERRUPTED', 'The session was ended'),
    );
  }
}

async function controllerSession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  talk: Conversation,
  connection: Connection,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  for (let registrations = 0; registrations < REGISTRATIONS_MAX; registrations += 1) {
    const { peer, gatewayUrl } = await register(deps, options, talk, connection, signal);
    if (gatewayUrl !== undefined && deps.gateway.allowed()) {
      connection.close(CLOSE_CODES.normal, new AgentError('INTERRUPTED', 'The gateway takes over'));
      return gatewaySession(deps, options, gatewayUrl, peer, onLive, signal);
    }
    onLive('controller', peer);
    const restMs = gatewayUrl === undefined ? undefined : deps.gateway.restMs();
    const outcome = await talkFor(deps, talk, connection, peer, restMs, signal);
    if (outcome === 'ended') {
      return endOf(connection, signal);
    }
    deps.log.warn('the control plane does not know this agent any more; registering again');
    deps.state.registering();
  }
  return new AgentError(
    'CONTROL_PLANE_ERROR',
    'The control plane forgets this agent again and again',
  );
}

/** Why the connection ended; at the agent's own stop it still stands, and is closed next. */
async function endOf(connection: Connection, signal: AbortSignal): Promise<AgentError> {
  return signal.aborted
    ? new AgentError('INTERRUPTED', 'The session was ended')
    : await connection.ended;
}

/** @param restMs after this the gateway is worth another try; undefined where there is none */
async function talkFor(
  deps: WebSocketSessionDeps,
  talk: Conversation,
  connection: Connection,
  peer: Peer,
  restMs: number | undefined,
  signal: AbortSignal,
): Promise<'ended' | 'forgotten'> {
  const over = new AbortController();
  if (restMs !== undefined) {
    void deps.clock.sleep(restMs, over.signal).then((whole) => {
      if (whole) {
        const why = new AgentError('INTERRUPTED', 'It is time to try the gateway again');
        connection.close(CLOSE_CODES.normal, why);
      }
    });
  }
  try {
    return await talk.talk(connection, peer, signal);
  } finally {
    over.abort();
  }
}

async function gatewaySession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  gatewayUrl: string,
  peer: Peer,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  const url = gatewayAddress(gatewayUrl, peer.clusterUuid, options);
  if (url === undefined) {
    deps.gateway.failed(true);
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      'The control plane names a gateway that is refused',
      {
        hint: 'It must be a wss:// address; ws:// only with control_plane.allow_insecure',
        details: { gateway: true },
      },
    );
  }
  const talk = conversation(deps, options);
  const headers = await authorization(deps, options);
  const connection = await gatewayConnection(deps, url, headers, talk, signal);
  onLive('gateway', peer);
  try {
    if ((await talk.talk(connection, peer, signal)) === 'ended') {
      return await endOf(connection, signal);
    }
    forgetGateway(deps);
    return new AgentError('CONTROL_PLANE_ERROR', 'The gateway does not know this agent any more');
  } finally {
    connection.close(
      signal.aborted ? CLOSE_CODES.goingAway : CLOSE_CODES.normal,
      new AgentError('INTERRUPTED', 'The session was ended'),
    );
  }
}

async function gatewayConnection(
  deps: WebSocketSessionDeps,
  url: string,
  headers: Readonly<Record<string, string>>,
  talk: Conversation,
  signal: AbortSignal,
): Promise<Connection> {
  try {
    const connection = await openConnection(
      deps,
      { kind: 'gateway', url, headers },
      talk.handlers,
      signal,
    );
    deps.gateway.succeeded();
    return connection;
  } catch (thrown) {
    if (thrown instanceof AgentError && !signal.aborted) {
      deps.gateway.failed(typeof thrown.details?.['status'] === 'number');
      throw new AgentError(thrown.code, `The gateway: ${thrown.message}`, {
        ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
        details: { ...thrown.details, gateway: true },
        cause: thrown,
      });
    }
    throw thrown;
  }
}

/** The next session registers at the controller. */
function forgetGateway(deps: WebSocketSessionDeps): void {
  const known = deps.memory.read();
  if (known !== undefined) {
    deps.memory.write({ ...known, gatewayUrl: undefined });
  }
}

async function register(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  talk: Conversation,
  connection: Connection,
  signal: AbortSignal,
): Promise<{ readonly peer: Peer; readonly gatewayUrl: string | undefined }> {
  const minted = deps.tokens.mint();
  const known = deps.memory.read();
  const hasDataPlane = deps.dataPlane !== undefined;
  const payload: RegisterPayload = {
    ...(await deps.facts()),
    agent_id: options.agentId,
    agent_version: options.version,
    features: {
      supports_streaming: hasDataPlane,
      supports_binary_protocol: hasDataPlane,
      supports_compression: false,
      supports_websocket_proxy: hasDataPlane,
      supports_gateway: true,
      supports_response_streaming: hasDataPlane,
      supports_commands: true,
      supports_status_reports: true,
      supports_flow_control: hasDataPlane,
    },
    metadata: {
      agent_mode: 'vm-agent',
      registration_timestamp: deps.clock.now().toISOString(),
      registration_mode: known === undefined ? 'fresh' : 'resume',
    },
    ...(known === undefined ? {} : { cluster_id: known.clusterId }),
    k8s_service_token: minted.token,
  };
  const answer = await talk.register(connection, payload, signal);
  const peer = peerOf(answer);
  // Kept before it counts: after a crash the control plane's token must still be the kept one.
  deps.memory.write({
    ...peer,
    gatewayUrl: answer.gateway_ws_url || undefined,
    serviceTokenHash: minted.hash,
  });
  deps.tokens.activate(minted.hash);
  deps.pace.obey(answer.pace);
  deps.log.info('registered with the control plane', {
    agent_id: options.agentId,
    cluster_id: peer.clusterId,
  });
  return { peer, gatewayUrl: answer.gateway_ws_url || undefined };
}

function peerOf(answer: RegisterSuccessPayload): Peer {
  return {
    clusterId: answer.cluster_id,
    clusterUuid: answer.cluster_uuid || answer.cluster_id,
    supportsCommands: answer.features?.supports_commands === true,
    supportsStatusReports: answer.features?.supports_status_reports === true,
    supportsFlowControl: answer.features?.supports_flow_control === true,
  };
}

async function authorization(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
): Promise<Readonly<Record<string, string>>> {
  const token = await deps.token();
  if (token === undefined) {
    throw new AgentError('TOKEN_REJECTED', 'There is no control-plane token', {
      hint: 'Give one: pipeops-agent install --token-file FILE',
    });
  }
  return {
    authorization: `Bearer ${token}`,
    'user-agent': `PipeOps-Agent/${options.version}`,
  };
}
