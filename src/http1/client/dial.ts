/** Connecting to the API server, or to an application. */
import type { Socket } from 'bun';
import { AgentError } from '../../core/errors.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { troubleOf } from '../../core/trouble.ts';
import type { UpstreamAddress } from './address.ts';
import { type ConnectionOwner, UpstreamConnection } from './connection.ts';

const NOT_IN_TIME = new Error('it did not answer in time');

/**
 * @throws AgentError with the code of the peer when there is no connection; a wrong certificate is
 *   one reason
 */
export function connectUpstream(
  address: UpstreamAddress,
  owner: ConnectionOwner,
  signal: AbortSignal,
): Promise<UpstreamConnection> {
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    let connection: UpstreamConnection | undefined;
    let settled = false;
    const settle = (): boolean => {
      signal.removeEventListener('abort', giveUp);
      const first = !settled;
      settled = true;
      return first;
    };
    const fail = (cause: unknown) => {
      if (settle()) {
        socket?.terminate();
        reject(unreachable(address, cause));
      }
    };
    const giveUp = () => fail(NOT_IN_TIME);
    signal.addEventListener('abort', giveUp, { once: true });
    Bun.connect({
      hostname: address.hostname,
      port: address.port,
      ...tlsOf(address),
      socket: {
        open: (opened) => {
          if (settled) {
            opened.terminate(); // Too late: nobody waits for it any more.
            return;
          }
          socket = opened;
          opened.setNoDelay(true);
          if (address.trust === 'plain' && settle()) {
            connection = new UpstreamConnection(opened, owner, address.peer);
            resolve(connection);
          }
        },
        // When this reports success, the name in the certificate has been checked too.
        handshake: (secure, success, error) => {
          if (!success) {
            fail(error ?? new Error('TLS failed'));
          } else if (settle()) {
            connection = new UpstreamConnection(secure, owner, address.peer);
            resolve(connection);
          }
        },
        data: (_socket, bytes) => connection?.received(bytes),
        drain: () => connection?.flush(),
        close: (_socket, error) => {
          fail(error ?? new Error('it closed the connection'));
          connection?.ended();
        },
        // Also called with what one of these handlers threw: nobody else would hear of it.
        error: (_socket, error) => {
          fail(error);
          connection?.broken(error);
        },
      },
    }).catch(fail);
  });
}

function tlsOf(address: UpstreamAddress) {
  switch (address.trust) {
    case 'plain':
      return {};
    case 'any-certificate':
      return { tls: { rejectUnauthorized: false } };
    default:
      return { tls: address.trust };
  }
}

/** Nobody could even dial. */
export function notInTime(address: UpstreamAddress): AgentError {
  return unreachable(address, NOT_IN_TIME);
}

function unreachable(address: UpstreamAddress, cause: unknown): AgentError {
  const { hostname, port, peer } = address;
  return new AgentError(
    peer.code,
    `Cannot reach ${peer.name} at ${hostAndPort(hostname, port)}: ${troubleOf(cause)}`,
    { hint: peer.hint, cause },
  );
}
