/** The session at the gateway that a controller has named. */
import { AgentError } from '../../core/errors.ts';
import { WEBSOCKET_PATH } from '../../protocol/session/messages.ts';
import { authorization } from '../credentials/authorization.ts';
import { failureOf, LATER_HINT, SessionError } from '../session/failure.ts';
import { controllerAddress, gatewayAddress } from '../session/gateway.ts';
import { type Connection, leave, openConnection } from './connection.ts';
import { type Conversation, conversation, type Peer } from './conversation.ts';
import type { WebSocketSessionDeps, WebSocketSessionOptions } from './session-deps.ts';

/** Least time between two tries of a gateway while the controller serves. */
const GATEWAY_RETRY_MS = 10_000;

/** Least time between two tries of a controller that does not answer while the gateway serves. */
const CONTROLLER_RETRY_MS = 60_000;
/** Characters of a foreign address that are repeated. */
const ADDRESS_LENGTH_MAX = 200;

export interface OpenSession {
  readonly connection: Connection;
  readonly talk: Conversation;
}

/** @throws AgentError of a failure at the gateway; see `openConnection` */
export async function openGateway(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  gatewayUrl: string,
  peer: Peer,
  signal: AbortSignal,
): Promise<OpenSession> {
  const url = gatewayAddress(gatewayUrl, peer.clusterUuid, options);
  if (url === undefined) {
    deps.gateway.failed(true);
    throw new SessionError(
      'CONTROL_PLANE_ERROR',
      'The control plane names a gateway that is refused',
      { kind: 'other', atGateway: true },
      {
        hint:
          `It names ${gatewayUrl.slice(0, ADDRESS_LENGTH_MAX)}. It must be a wss:// address of a host in ` +
          'control_plane.gateway_hosts, where that is set; ws:// only with control_plane.allow_insecure; ' +
          'this machine only where the control plane is here too',
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
      const failure = failureOf(thrown);
      deps.gateway.failed(failure.kind === 'answered');
      throw new SessionError(
        thrown.code,
        `The gateway: ${thrown.message}`,
        { ...failure, atGateway: true },
        { hint: thrown.hint ?? LATER_HINT, cause: thrown },
      );
    }
    throw thrown;
  }
}

/** @throws AgentError: see `openConnection` */
export async function openController(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  signal: AbortSignal,
): Promise<OpenSession> {
  const talk = conversation(deps, options);
  const url = controllerAddress(options.apiUrl, WEBSOCKET_PATH);
  const headers = await authorization(deps, options);
  const target = { kind: 'controller' as const, url, headers };
  return { connection: await openConnection(deps, target, talk.handlers, signal), talk };
}

/**
 * Asks the controller again when the gateway that it named is not valid any more. Until it answers,
 * the current gateway goes on serving.
 * @returns its connection; undefined at the signal
 * @throws AgentError TOKEN_REJECTED: then no gateway shall serve either
 */
export async function controllerAgain(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  signal: AbortSignal,
): Promise<OpenSession | undefined> {
  let waitMs = deps.gateway.askInMs();
  while (await deps.clock.sleep(waitMs, signal)) {
    waitMs = CONTROLLER_RETRY_MS;
    try {
      const controller = await openController(deps, options, signal);
      if (!signal.aborted) {
        return controller;
      }
      leave(controller.connection, signal); // The gateway has gone meanwhile.
    } catch (thrown) {
      if (!(thrown instanceof AgentError) || thrown.code === 'TOKEN_REJECTED') {
        throw thrown;
      }
      deps.log.debug('the controller is not there to be asked for the gateway', {
        error_code: thrown.code,
      });
    }
  }
  return undefined;
}

/**
 * Tries the gateway that was left alone, whenever that is worth another try.
 * @returns its connection once there is one; undefined at the signal, or when its name is no longer
 *   valid
 */
export async function gatewayAgain(
  deps: WebSocketSessionDeps,
  options: WebSocketSessionOptions,
  gatewayUrl: string,
  peer: Peer,
  signal: AbortSignal,
): Promise<OpenSession | undefined> {
  while (await deps.clock.sleep(Math.max(deps.gateway.restMs(), GATEWAY_RETRY_MS), signal)) {
    if (deps.gateway.known() !== gatewayUrl) {
      return undefined; // Named too long ago: the controller serves until it is asked again.
    }
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
