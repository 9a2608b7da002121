import { AgentError, messageOf } from '../core/errors.ts';
import type { Http } from '../core/ports.ts';

const PROBE_TIMEOUT_MS = 10_000;

/**
 * The first server that answers with a certificate of this CA. k3s answers /cacerts without
 * credentials (k3s, "pkg/server"); with the CA from the token nothing is fetched unverified.
 * @throws AgentError SERVER_UNREACHABLE naming why for each
 */
export async function findServer(
  deps: { readonly http: Http; readonly signal: AbortSignal },
  servers: readonly string[],
  ca: string,
): Promise<string> {
  const reasons: string[] = [];
  for (const server of servers) {
    try {
      const response = await deps.http(`${server}/cacerts`, {
        tls: { ca },
        signal: AbortSignal.any([deps.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
      });
      await response.body?.cancel();
      if (response.ok) {
        return server;
      }
      reasons.push(`${server}: it answers ${response.status}`);
    } catch (thrown) {
      reasons.push(`${server}: ${messageOf(thrown)}`);
    }
  }
  throw new AgentError('SERVER_UNREACHABLE', `No server answers: ${reasons.join('; ')}`, {
    hint: 'Check that this machine reaches port 6443 of a server, and no firewall stands between',
    details: { reasons },
  });
}
