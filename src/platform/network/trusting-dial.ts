import type { WebSocketDial } from '../../core/ports.ts';
import { systemRandom } from '../random.ts';
import { dialStream } from './stream-dialer.ts';
import { webSocketDial } from './web-socket.ts';

/** The cluster's API is on this machine or beside it: never through a proxy. */
const DIRECT = { url: '', credentials: '', noProxy: '' };

/** WebSockets to servers with a certificate of one authority (PEM) and no other. */
export function trustingDial(ca: string): WebSocketDial {
  return webSocketDial({
    connect: (address) => dialStream(address, { ca, proxy: DIRECT }),
    random: systemRandom,
  });
}
