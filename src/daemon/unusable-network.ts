import type { Network } from '../core/ports.ts';

/**
 * A network that reaches nobody, and says why. It is used while the certificates to trust are
 * missing.
 */
export function unusableNetwork(why: string): Network {
  const trouble = { kind: 'ca', why, ownCa: true, proxy: '' } as const;
  return {
    http: async () => {
      throw Object.assign(new Error(why), { trouble });
    },
    dial: (_url, _options, handlers) => {
      queueMicrotask(() => handlers.closed({ code: 1006, reason: why, unreachable: trouble }));
      return {
        send: () => undefined,
        sendBinary: () => undefined,
        ping: () => undefined,
        bufferedBytes: () => 0,
        close: () => undefined,
        terminate: () => undefined,
        pause: () => undefined,
        resume: () => undefined,
      };
    },
    close: () => undefined,
  };
}
