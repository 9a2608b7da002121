import type { SessionLink } from '../../src/control-plane/ports.ts';

export interface WebSocketLink {
  readonly link: SessionLink;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  close(): void;
}

export interface WebSocketLinkOptions {
  readonly text: (message: string) => void;
  readonly binary: (message: Uint8Array) => void;
  readonly ca?: string | undefined;
}

/** A connection to a gateway, as the session makes one. Resolves when it is open. */
export async function webSocketLink(
  url: string,
  options: WebSocketLinkOptions,
): Promise<WebSocketLink> {
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
  });
  socket.binaryType = 'nodebuffer';
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error(`Cannot connect to ${url}`));
  socket.onclose = () => closed.resolve();
  socket.onmessage = ({ data }) =>
    typeof data === 'string' ? options.text(data) : options.binary(data);
  await opened.promise;
  return {
    link: {
      kind: 'gateway',
      clusterId: 'cluster-1',
      clusterUuid: '',
      windowed: false,
      send: (type, payload, requestId) => {
        if (isOpen()) {
          const timestamp = new Date().toISOString();
          socket.send(JSON.stringify({ type, payload, timestamp, request_id: requestId }));
        }
        return isOpen();
      },
      sendBinary: (data) => {
        if (isOpen()) {
          socket.send(data as Uint8Array<ArrayBuffer>);
        }
        return isOpen();
      },
      bufferedBytes: () => socket.bufferedAmount,
      acceptsServiceToken: () => false,
    },
    closed: closed.promise,
    close: () => socket.close(),
  };
}
