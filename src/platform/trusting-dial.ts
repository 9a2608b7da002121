import type { WebSocketDial } from '../core/ports.ts';
import { dialSocket } from './socket-dialer.ts';
import { webSocketDial } from './web-socket.ts';

/** The cluster's API is on this machine or beside it: never through a proxy. */
const DIRECT = { url: '', credentials: '', noProxy: '' };

/** WebSockets to servers with a certificate of one authority (PEM) and no other. */
export function trustingDial(ca: string): WebSocketDial {
  return webSocketDial((address) => dialSocket(address, { ca, proxy: DIRECT }));
}
