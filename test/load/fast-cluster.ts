/** An API server that does nothing but answer fast: small, large, for ever, and with an echo. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { makeCertificates } from '../support/tls.ts';

export const SMALL_PATH = '/api/v1/namespaces/default/configmaps/small';
export const LARGE_PATH = '/api/v1/namespaces/default/configmaps/large';
/** Never ends, as fast as it is read. */
export const ENDLESS_PATH = '/api/v1/namespaces/default/configmaps/endless';
/** POST answers how many bytes came. */
export const UPLOAD_PATH = '/api/v1/namespaces/default/configmaps';
export const WATCH_PATH = '/api/v1/namespaces/default/configmaps?watch=true';
/** Says everything again that it hears. */
export const ECHO_PATH = '/api/v1/namespaces/default/pods/box/exec?command=cat';

export const LARGE_BYTES = 1024 * 1024;

export interface FastCluster extends AsyncDisposable {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Watches, and echoes that are open now. */
  open(): number;
  /** How many requests for Secrets came, but for the one that the agent itself keeps. */
  secretRequests(): number;
  /** What was written of endless answers, bytes. */
  endlessBytes(): number;
}

/** The agent's own, as it asks for it by itself. */
const OWN_SECRET = '/api/v1/namespaces/pipeops-system/secrets/pipeops-agent-session';

function isForSecret(path: string): boolean {
  return path.includes('secrets') && path !== OWN_SECRET;
}

export async function startFastCluster(): Promise<FastCluster> {
  const { ca, cert, key } = await makeCertificates(['127.0.0.1']);
  const small = Buffer.alloc(1_024, 'x');
  const large = Buffer.alloc(LARGE_BYTES, 'x');
  const open = new Set<ServerResponse | Duplex>();
  let endlessBytes = 0;
  let secretRequests = 0;
  const keep = (stream: ServerResponse | Duplex) => {
    open.add(stream);
    stream.on('close', () => open.delete(stream));
    stream.on('error', () => stream.destroy());
  };
  const pour = (response: ServerResponse) => {
    while (!response.destroyed) {
      endlessBytes += large.length;
      if (!response.write(large)) {
        response.once('drain', () => pour(response));
        return;
      }
    }
  };
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    switch (request.url) {
      case SMALL_PATH:
        response.end(small);
        break;
      case LARGE_PATH:
        response.end(large);
        break;
      case ENDLESS_PATH:
        keep(response);
        pour(response);
        break;
      case WATCH_PATH:
        keep(response);
        response.write('{"type":"BOOKMARK"}\n');
        break;
      case UPLOAD_PATH: {
        let bytes = 0;
        request.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        request.on('end', () => response.end(String(bytes)));
        break;
      }
      default:
        secretRequests += isForSecret(request.url ?? '') ? 1 : 0;
        response.writeHead(404).end();
    }
  };
  const server = createServer({ cert, key }, answer);
  server.on('upgrade', (_request, socket: Duplex, first: Buffer) => {
    keep(socket);
    socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.write(first);
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return {
    url: `https://127.0.0.1:${port}`,
    ca,
    open: () => open.size,
    secretRequests: () => secretRequests,
    endlessBytes: () => endlessBytes,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const each of open) {
          each.destroy();
        }
      }),
  };
}
