/** Our agent of `bun run bench tunnel`, the tunnel alone, as an executable: `agent URL [CA file]`. */
import type { Log } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import { tunnelCounters } from '../../../src/tunnel/counters.ts';
import { openTunnel, type Tunnel } from '../../../src/tunnel/open.ts';
import { webSocketLink } from '../../../test/tunnel/websocket-link.ts';

const SETTINGS = {
  windowLimitBytes: 1024 * 1024,
  keepAliveMs: 30_000,
  connectionTimeoutMs: 30_000,
  udpFraming: false,
};

const silent = () => undefined;
const log: Log = {
  error: (...line) => console.error(...line),
  warn: (...line) => console.error(...line),
  info: silent,
  debug: silent,
  with: () => log,
};

const [url = '', caFile] = process.argv.slice(2);
let tunnel: Tunnel | undefined;
const { closed } = await webSocketLink(url, {
  ca: caFile === undefined ? undefined : await Bun.file(caFile).text(),
  // The only text there is: the hello.
  text: (_, connection) => {
    connection.link.send('gateway_hello_ack', { use_yamux: true });
    tunnel = openTunnel(
      {
        clock: systemClock,
        runSoon: systemRunSoon,
        log,
        targets: {
          resolve: async ({ port }) => ({ kind: 'target', host: '127.0.0.1', port }),
        },
        counters: tunnelCounters(),
        open: new Set(),
      },
      connection.link,
      SETTINGS,
      () => connection.close(),
    );
  },
  binary: (message) => tunnel?.receive(message),
});
await closed;
