/**
 * The agent's doors to the proxy alone, for the benchmarks: `doors API_URL CA_FILE DIRECTORY`.
 * Prints one JSON line with both ports and the certificate when it listens.
 */
import { join } from 'node:path';
import type { Log } from '../../../src/core/ports.ts';
import { upstreamPool } from '../../../src/http1/client/pool.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import { type ForwardDeps, forward } from '../../../src/proxy/forward.ts';
import { KUBERNETES_PEER } from '../../../src/proxy/kubernetes-destination.ts';
import { fairTurns } from '../../../src/proxy/turns.ts';
import { httpServer } from '../../../src/server/doors.ts';
import { localAuth } from '../../../src/server/local-auth.ts';
import { selfSignedCertificate } from '../../../src/server/self-signed-certificate.ts';
import { tlsListener } from '../../../src/server/tls-listener.ts';
import { metricHistograms } from '../../../src/telemetry/metrics/histograms.ts';
import { proxyDurations } from '../../../src/telemetry/proxy-durations.ts';
import { NO_KEPT_SOCKETS } from '../../../test/support/no-kept-sockets.ts';
import { NO_SOURCES } from '../../../test/support/server-sources.ts';
import { STANDARD_POLICY } from '../../../test/support/standard-policy.ts';

const HOUR_MS = 3_600_000;
const silent = () => undefined;
const log: Log = { error: silent, warn: silent, info: silent, debug: silent, with: () => log };

const [url = '', caFile = '', directory = ''] = process.argv.slice(2);
const { hostname, port, host } = new URL(url);
const trust = { ca: await Bun.file(caFile).text() };
const address = { hostname, port: Number(port), trust, peer: KUBERNETES_PEER };
const proxy: ForwardDeps = {
  pool: upstreamPool({ clock: systemClock }),
  turns: fairTurns({ clock: systemClock }),
  measure: proxyDurations({
    day: { measured: () => undefined },
    clock: systemClock,
    histograms: metricHistograms(true),
  }),
  destination: {
    allow: (method, target, upgrade) => STANDARD_POLICY.request(method, target, upgrade),
    locate: () => ({ address, host, token: 'the-agents-token' }),
    unauthorized: silent,
  },
};
const files = systemFiles('/');
const tokenFile = join(directory, 'local-token');
const auth = await localAuth({ random: systemRandom, files }, tokenFile);
const now = Date.now();
const certificate = selfSignedCertificate({
  commonName: 'pipeops-agent',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  notBefore: new Date(now - HOUR_MS),
  notAfter: new Date(now + HOUR_MS),
  serial: systemRandom.bytes(16),
});
const http = httpServer(
  {
    log,
    files,
    clock: systemClock,
    kept: NO_KEPT_SOCKETS,
    sources: {
      ...NO_SOURCES,
      auth,
      tokenFile,
      proxy: { forward: (request, sink) => forward(proxy, request, sink) },
    },
  },
  { port: 0, socketPath: join(directory, 'agent.sock') },
);
const tls = tlsListener(
  { clock: systemClock, log, kept: NO_KEPT_SOCKETS, auth, proxy },
  { port: 0, certificate },
);
const stop = new AbortController();
await http.start(stop.signal);
await tls.start(stop.signal);
await Bun.write(join(directory, 'door.pem'), certificate.certificate);
console.log(JSON.stringify({ http: http.port(), tls: tls.port() }));
