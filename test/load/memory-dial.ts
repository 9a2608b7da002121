import type { WebSocketDial, WebSocketEnd } from '../../src/core/ports.ts';

/** RFC 6455 section 7.4.1, which the real dial closes with as well. */
const TOO_LARGE = 1009;

/** The server's end of a connection that exists only in this process. */
export interface ServerSide {
  send(data: string | Uint8Array): void;
  /** Ends it as the agent sees it: 1006 without a close frame. */
  close(code: number): void;
}

export interface MemoryServer {
  /** @returns why a dial fails; undefined: it is accepted */
  refusal(): WebSocketEnd | undefined;
  opened(side: ServerSide): void;
  received(side: ServerSide, data: string | Uint8Array): void;
  closed(side: ServerSide, code: number): void;
}

/** Dials a server in this process: no socket, no time of its own. */
export function memoryDial(server: MemoryServer): WebSocketDial {
  return (_url, { messageLimitBytes }, handlers) => {
    let open = false;
    const end = (why: WebSocketEnd) => {
      if (open) {
        open = false;
        server.closed(side, why.code);
        queueMicrotask(() => handlers.closed(why));
      }
    };
    const side: ServerSide = {
      send: (data) =>
        queueMicrotask(() => {
          if (Buffer.byteLength(data) > messageLimitBytes) {
            end({ code: TOO_LARGE, reason: 'a message over the limit' });
          } else if (open) {
            handlers.message(data);
          }
        }),
      close: (code) => end({ code, reason: '' }),
    };
    queueMicrotask(() => {
      const refusal = server.refusal();
      if (refusal !== undefined) {
        handlers.closed(refusal);
        return;
      }
      open = true;
      server.opened(side);
      handlers.opened();
    });
    return {
      send: (text) => {
        if (open) {
          server.received(side, text);
        }
      },
      sendBinary: (parts) => {
        if (open) {
          server.received(side, Buffer.concat(parts));
        }
      },
      ping: (mark) => {
        if (open) {
          queueMicrotask(() => handlers.heard(mark));
        }
      },
      close: (code) => end({ code, reason: '' }),
      terminate: () => end({ code: 1006, reason: '' }),
      pause: () => undefined,
      resume: () => undefined,
      bufferedBytes: () => 0,
    };
  };
}
