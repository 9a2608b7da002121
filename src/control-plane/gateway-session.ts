/** The session at the gateway that a controller has named. */
import { AgentError } from '../core/errors.ts';
import { authorization } from './authorization.ts';
import { type Connection, endOf, leave, openConnection } from './connection.ts';
import { type Conversation, conversation, type Peer } from './conversation.ts';
import { gatewayAddress } from './gateway.ts';
import type {
  OnLive,
  WebSocketSessionDeps,
  WebSocketSessionOptions,
} from './websocket-session-deps.ts';

/** Least time between two tries of a gateway while the controller serves. */
const GATEWAY_RETRY_MS = 10_000;

export interface OpenGateway {
  readonly connection: Connection;
  readonly talk: Conversation;
}

/** @throws AgentError with `details.gateway`; see `openConnection` */
export async function openGateway(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  gatewayUrl: string,
  peer: Peer,
  signal: AbortSignal,
): Promise<OpenGateway> {
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
  const target = { kind: 'gateway' as const, url, headers };
  try {
    const connection = await openConnection(deps, target, talk.handlers, signal);
    deps.gateway.succeeded();
    return { connection, talk };
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

/** @returns why it ended */
export async function talkAtGateway(
  deps: WebSocketSessionDeps,
  { connection, talk }: OpenGateway,
  peer: Peer,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<AgentError> {
  onLive('gateway', peer);
  try {
    if ((await talk.talk(connection, peer, signal)) === 'ended') {
      return await endOf(connection, signal);
    }
    forgetGateway(deps);
    return new AgentError('CONTROL_PLANE_ERROR', 'The gateway does not know this agent any more');
  } finally {
    leave(connection, signal);
  }
}

/**
 * Tries a gateway that is left alone, whenever it is worth another try.
 * @returns its connection once there is one; undefined at the signal
 */
export async function gatewayAgain(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  gatewayUrl: string,
  peer: Peer,
  signal: AbortSignal,
): Promise<OpenGateway | undefined> {
  while (await deps.clock.sleep(Math.max(deps.gateway.restMs(), GATEWAY_RETRY_MS), signal)) {
    try {
      const gateway = await openGateway(deps, options, gatewayUrl, peer, signal);
      if (!signal.aborted) {
        return gateway;
      }
      leave(gateway.connection, signal); // The controller has gone meanwhile.
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      deps.log.debug('the gateway is still away', { error_code: thrown.code });
    }
  }
  return undefined;
}

/** The next session registers at the controller. */
function forgetGateway(deps: WebSocketSessionDeps): void {
  const known = deps.memory.read();
  if (known !== undefined) {
    deps.memory.write({ ...known, gatewayUrl: undefined });
  }
}
