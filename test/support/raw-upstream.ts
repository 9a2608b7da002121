/** An API server for tests that says exactly the bytes it is told to, over real TLS. */

import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { UpstreamAddress } from '../../src/http1/client/address.ts';
import { KUBERNETES_PEER } from '../../src/proxy/kubernetes-destination.ts';
import { makeCertificates, type TestCertificates } from './tls.ts';

export interface RawUpstream extends AsyncDisposable {
  readonly address: UpstreamAddress;
  /** Everything that each connection has sent, in order of the connections. */
  readonly received: readonly string[];
  /** Connections that are open now. */
  open(): number;
}

export interface RawConnection {
  readonly socket: TLSSocket;
  /** Of this connection. */
  received(): string;
}

let certificates: Promise<TestCertificates> | undefined;

/** One pair for a whole file of tests: making it costs 50 ms. */
export function upstreamCertificates(): Promise<TestCertificates> {
  certificates ??= makeCertificates(['127.0.0.1']);
  return certificates;
}

/** @param onData called with what came, whenever something came */
export async function rawUpstream(
  onData: (connection: RawConnection, bytes: string) => void,
): Promise<RawUpstream> {
  const { ca, cert, key } = await upstreamCertificates();
  const received: string[] = [];
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert, key }, (socket) => {
    const number = received.push('') - 1;
    sockets.add(socket);
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      received[number] += text;
      onData({ socket, received: () => received[number] ?? '' }, text);
    });
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: { hostname: '127.0.0.1', port, trust: { ca }, peer: KUBERNETES_PEER },
    received,
    open: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** `HTTP/1.1 200 OK` with a body and its length. */
export function okAnswer(body: string, headers: readonly string[] = []): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...headers, '', body].join('\r\n');
}
