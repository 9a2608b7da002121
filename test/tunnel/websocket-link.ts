import type { SessionLink } from '../../src/control-plane/session/ports.ts';
import { systemNetwork } from '../../src/platform/network/open.ts';

export interface WebSocketLink {
  readonly link: SessionLink;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  close(): void;
}

export interface WebSocketLinkOptions {
  /** The first message may be there before anybody knows that the connection is open. */
  readonly text: (message: string, connection: WebSocketLink) => void;
  readonly binary: (message: Uint8Array) => void;
  readonly ca?: string | undefined;
}

/** As in a session; of its own, so that the tunnel alone loads none of its schemas. */
const MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024;
const NO_PROXY = { url: '', credentials: '', noProxy: '' };

/** A connection to a gateway over the product's own network. Resolves when it is open. */
export async function webSocketLink(
  url: string,
  options: WebSocketLinkOptions,
): Promise<WebSocketLink> {
  const network = systemNetwork({ ca: options.ca, proxy: NO_PROXY });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let isOpen = false;
  const dial = { headers: {}, messageLimitBytes: MESSAGE_LIMIT_BYTES };
  const connection = network.dial(url, dial, {
    opened: () => {
      isOpen = true;
      opened.resolve();
    },
    message: (data) => (typeof data === 'string' ? options.text(data, link) : options.binary(data)),
    heard: () => undefined,
    closed: ({ reason }) => {
      isOpen = false;
      opened.reject(new Error(`Cannot connect to ${url}: ${reason}`));
      closed.resolve();
    },
  });
  const link: WebSocketLink = {
    link: {
      kind: 'gateway',
      clusterId: 'cluster-1',
      clusterUuid: '',
      windowed: false,
      send: (type, payload, requestId) => {
        const timestamp = new Date().toISOString();
        connection.send(JSON.stringify({ type, payload, timestamp, request_id: requestId }));
        return isOpen;
      },
      sendBinary: (parts) => {
        connection.sendBinary(parts);
        return isOpen;
      },
      bufferedBytes: () => connection.bufferedBytes(),
      acceptsServiceToken: () => false,
    },
    closed: closed.promise,
    close: () => connection.close(1000, ''),
  };
  await opened.promise;
  return link;
}
