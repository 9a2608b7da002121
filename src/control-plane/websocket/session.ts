import { AgentError } from '../../core/errors.ts';
import { childSignal } from '../../core/waiting.ts';
import {
  CLOSE_CODES,
  type RegisterPayload,
  type RegisterSuccessPayload,
} from '../../protocol/session/messages.ts';
import { LATER_HINT } from '../session/failure.ts';
import { type Connection, endOf, leave, replaced } from './connection.ts';
import type { Conversation, Peer } from './conversation.ts';
import {
  controllerAgain,
  gatewayAgain,
  type OpenSession,
  openController,
  openGateway,
} from './gateway-session.ts';
import type { OnLive, WebSocketSessionDeps, WebSocketSessionOptions } from './session-deps.ts';

/**
 * Registrations over one connection. A peer that keeps forgetting the agent is given up, with
 * backoff.
 */
const REGISTRATIONS_MAX = 3;

/**
 * One life of the WebSocket session: at the gateway that the controller has named lately, else at
 * the controller, and from there at the gateway that it names.
 * @returns why it ended
 * @throws AgentError why it was not established; see `openConnection` and `RegistrationWait`
 */
export async function webSocketSession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  const known = deps.memory.read();
  const gatewayUrl = deps.gateway.known();
  if (known !== undefined && gatewayUrl !== undefined && deps.gateway.allowed()) {
    const gateway = await openGateway(deps, options, gatewayUrl, known, signal);
    return talkAtGateway(deps, options, gateway, known, onLive, signal);
  }
  const controller = await openController(deps, options, signal);
  return controllerSession(deps, options, controller, onLive, signal);
}

/** @returns why it ended */
async function talkAtGateway(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  { connection, talk }: OpenSession,
  peer: Peer,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  onLive('gateway', peer);
  const here = childSignal(signal);
  const talking = talk.talk(connection, peer, here.signal);
  const again = controllerAgain(deps, options, here.signal);
  try {
    const controller = await Promise.race([talking.then(() => undefined), again]);
    if (controller !== undefined) {
      // The gateway serves until the controller's session is live. Then it takes nothing new, and
      // its requests under way may end.
      const next = controllerSession(deps, options, controller, takingOver(here, onLive), signal);
      const left = talking.then(() => connection.close(CLOSE_CODES.normal, replaced()));
      return (await Promise.all([next, left]))[0];
    }
    if ((await talking) === 'ended') {
      return await endOf(connection, signal);
    }
    deps.gateway.named(undefined);
    return new AgentError('CONTROL_PLANE_ERROR', 'The gateway does not know this agent any more', {
      hint: LATER_HINT,
    });
  } finally {
    here.end();
    leave(connection, signal);
  }
}

/** Ends the previous session when the new one is live. */
function takingOver(before: { readonly end: () => void }, onLive: OnLive): OnLive {
  return (kind, peer) => {
    before.end();
    onLive(kind, peer);
  };
}

/** Registers at a connected controller, and goes on from there at the gateway that it names. */
async function controllerSession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  controller: OpenSession,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  try {
    return await registeredSession(deps, options, controller, onLive, signal);
  } finally {
    leave(controller.connection, signal);
  }
}

async function registeredSession(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  { talk, connection }: OpenSession,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  for (let registrations = 0; registrations < REGISTRATIONS_MAX; registrations += 1) {
    const { peer, gatewayUrl } = await register(deps, options, talk, connection, signal);
    if (gatewayUrl !== undefined && deps.gateway.allowed()) {
      connection.close(CLOSE_CODES.normal, replaced());
      const gateway = await openGateway(deps, options, gatewayUrl, peer, signal);
      return talkAtGateway(deps, options, gateway, peer, onLive, signal);
    }
    onLive('controller', peer);
    const controller = { talk, connection, peer, gatewayUrl };
    const outcome = await talkUntilGateway(deps, options, controller, onLive, signal);
    if (outcome !== 'forgotten') {
      return outcome;
    }
    deps.log.warn('the control plane does not know this agent any more; registering again');
    deps.state.registering();
  }
  return new AgentError(
    'CONTROL_PLANE_ERROR',
    'The control plane forgets this agent again and again',
    { hint: LATER_HINT },
  );
}

/**
 * The controller's conversation. When its gateway is back, the gateway takes over before this one
 * ends.
 */
async function talkUntilGateway(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  controller: {
    readonly talk: Conversation;
    readonly connection: Connection;
    readonly peer: Peer;
    readonly gatewayUrl: string | undefined;
  },
  onLive: OnLive,
  signal: AbortSignal,
): Promise<'forgotten' | AgentError> {
  const { talk, connection, peer, gatewayUrl } = controller;
  const here = childSignal(signal);
  const talking = talk.talk(connection, peer, here.signal);
  if (gatewayUrl === undefined) {
    return (await talking) === 'forgotten' ? 'forgotten' : endOf(connection, signal);
  }
  const back = gatewayAgain(deps, options, gatewayUrl, peer, here.signal);
  try {
    const gateway = await Promise.race([talking.then(() => undefined), back]);
    if (gateway === undefined) {
      return (await talking) === 'forgotten' ? 'forgotten' : endOf(connection, signal);
    }
    here.end(); // Requests under way here may end, while the gateway serves already.
    const left = talking.then(() => connection.close(CLOSE_CODES.normal, replaced()));
    const [ended] = await Promise.all([
      talkAtGateway(deps, options, gateway, peer, onLive, signal),
      left,
    ]);
    return ended;
  } finally {
    here.end();
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
  const { metadata, ...facts } = await deps.facts();
  const payload: RegisterPayload = {
    ...facts,
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
      ...metadata,
      agent_mode: 'vm-agent',
      registration_timestamp: deps.clock.now().toISOString(),
      registration_mode: known === undefined ? 'fresh' : 'resume',
    },
    ...(known === undefined ? {} : { cluster_id: known.clusterId }),
    k8s_service_token: minted.token,
  };
  const answer = await talk.register(connection, payload, signal);
  const peer = peerOf(answer);
  // Kept before it becomes valid: after a crash the control plane's token must still match the kept
  // one.
  deps.memory.write({
    ...peer,
    serviceTokenHash: minted.hash,
  });
  deps.gateway.named(answer.gateway_ws_url || undefined);
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
