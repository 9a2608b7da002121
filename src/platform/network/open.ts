import type { Network } from '../../core/ports.ts';
import { systemRandom } from '../random.ts';
import type { DialOptions } from './dial-options.ts';
import type { DialledHttp } from './dialled-http.ts';
import { dialStream } from './stream-dialer.ts';
import { webSocketDial } from './web-socket.ts';

/**
 * HTTP and WebSockets to a control plane over sockets of their own: through the configured proxy,
 * with the configured trust, the name resolved anew for each connection. The parts of HTTP are loaded
 * at the first call: a session over WebSockets makes none.
 */
export function systemNetwork(options: DialOptions): Network {
  let loading: Promise<DialledHttp> | undefined;
  const load = async () => (await import('./dialled-http.ts')).dialledHttp(options);
  return {
    http: async (url, init) => {
      loading ??= load();
      return await (await loading).http(url, init);
    },
    dial: webSocketDial({
      connect: (address) => dialStream(address, options),
      random: systemRandom,
    }),
    close: () => {
      void loading?.then((loaded) => loaded.close());
    },
  };
}
