/** The TLS door on a real port, and clients that send exactly the bytes they are told to. */
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../src/core/ports.ts';
import type { Listener } from '../../src/server/listener.ts';
import { selfSignedCertificate } from '../../src/server/self-signed-certificate.ts';
import { tlsListener } from '../../src/server/tls-listener.ts';
import { memoryLog } from './memory-log.ts';
import { NO_KEPT_SOCKETS } from './no-kept-sockets.ts';
import type { TestProxy } from './proxy-deps.ts';

const certificate = selfSignedCertificate({
  commonName: 'pipeops-agent',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 3_600_000),
  notAfter: new Date(Date.now() + 3_600_000),
  serial: new Uint8Array(16),
});
/** PEM. */
export const DOOR_CERTIFICATE = certificate.certificate;
export const TOKEN = 'Authorization: Bearer local';

/** @param port 0: any that is free */
export function tlsDoor(proxy: TestProxy, clock: Clock, port = 0): Listener {
  const auth = { accepts: (given: string | undefined) => given === 'Bearer local' };
  return tlsListener(
    { clock, log: memoryLog(), kept: NO_KEPT_SOCKETS, auth, proxy: proxy.deps },
    { port, certificate },
  );
}

export function doorRequest(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
}

export interface RawClient extends Disposable {
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  /** All that has come. */
  received(): string;
  /** Waits until `text` has come, or until the end. @returns all that has come */
  until(text: string): Promise<string>;
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = connect({ host: '127.0.0.1', port, ca: DOOR_CERTIFICATE });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  let text = '';
  let arrived: () => void = () => undefined;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    arrived();
  });
  socket.on('error', () => undefined); // `close` follows.
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  return {
    socket,
    closed,
    received: () => text,
    until: async (wanted) => {
      const came = new Promise<void>((resolve) => {
        arrived = () => {
          if (text.includes(wanted)) {
            resolve();
          }
        };
        arrived();
      });
      await Promise.race([came, closed]);
      return text;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** Sends exactly these bytes. @returns what came back once `until` is in it, or at the end */
export async function rawExchange(
  port: number,
  bytes: string,
  until = '\r\n\r\n',
): Promise<string> {
  using client = await rawClient(port);
  client.socket.write(bytes);
  return await client.until(until);
}
