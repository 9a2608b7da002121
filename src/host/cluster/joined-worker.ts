import { AgentError } from '../../core/errors.ts';
import { K3S_AGENT_CA_FILE, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files, Http } from '../../core/ports.ts';
import { withoutEnd } from '../../core/text/without-end.ts';
import { certificatesOf } from '../../core/trust-anchors.ts';
import { readK3sConfig } from '../k3s/config.ts';
import { isNodeReady } from '../k3s/ready.ts';
import { caHashOf, serverCa, sha256 } from './join-server.ts';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
  readonly http: Http;
}

/** Whether this machine joined with this very token and works. Then the token need not be accepted again. */
export async function isJoinedWith(
  deps: Deps,
  k3sToken: string,
  { role, hostname }: { readonly role: K3sRole; readonly hostname: string },
): Promise<boolean> {
  return (
    (await deps.files.readText(deps.places.k3sTokenFile)) === `${k3sToken}\n` &&
    (await isNodeReady(deps, role, hostname))
  );
}

/** Which server a worker or a further server joined, and with which token; undefined if no join has come that far. */
export async function readJoined(deps: {
  readonly files: Files;
  readonly places: Places;
}): Promise<{ readonly serverUrl: string; readonly k3sToken: string } | undefined> {
  const serverUrl = await joinedServerUrl(deps);
  const k3sToken = (await deps.files.readText(deps.places.k3sTokenFile))?.trim();
  return serverUrl === undefined || k3sToken === undefined ? undefined : { serverUrl, k3sToken };
}

/**
 * @param ca of the cluster that is asked for
 * @throws AgentError CLUSTER_EXISTS when this machine is a worker of a cluster with another CA
 */
export async function checkSameCluster(deps: { readonly files: Files }, ca: string): Promise<void> {
  const known = await deps.files.readText(K3S_AGENT_CA_FILE);
  // The token may contain only the beginning of the chain.
  const given = certificatesOf(ca);
  const own = new Set(certificatesOf(known ?? ''));
  if (known !== undefined && (given.length === 0 || !given.every((each) => own.has(each)))) {
    throw await otherCluster(deps);
  }
}

/**
 * The same for a token of k3s' own users. It may contain the hash of its CA. If it does not, a server that
 * this worker does not know is asked for its CA. Nothing secret is sent.
 * @throws AgentError CLUSTER_EXISTS, SERVER_UNREACHABLE
 */
export async function checkSameServer(
  deps: Pick<Deps, 'clock' | 'files' | 'http'> & { readonly signal: AbortSignal },
  server: string,
  k3sToken: string,
): Promise<void> {
  const known = await deps.files.readText(K3S_AGENT_CA_FILE);
  if (known === undefined) {
    return; // It has joined none yet.
  }
  const hash = caHashOf(k3sToken);
  if (hash !== undefined && hash !== sha256(known)) {
    throw await otherCluster(deps);
  }
  if (server !== withoutEnd((await joinedServerUrl(deps)) ?? '', '/')) {
    await checkSameCluster(deps, await serverCa(deps, server));
  }
}

/** The server that k3s was told to join; undefined if there is none. */
async function joinedServerUrl(deps: { readonly files: Files }): Promise<string | undefined> {
  const url = (await readK3sConfig(deps))?.['server'];
  return typeof url === 'string' && url.startsWith('https:') ? url : undefined;
}

async function otherCluster(deps: { readonly files: Files }): Promise<AgentError> {
  const joined = await joinedServerUrl(deps);
  const where = joined === undefined ? '' : `, which it joined by ${joined}`;
  return new AgentError('CLUSTER_EXISTS', `This machine is a node of another cluster${where}`, {
    hint:
      'To move it here: sudo pipeops-agent uninstall, then the same command again. To leave it ' +
      'where it is, use a token of that cluster: sudo pipeops-agent token create, on its server',
    details: { joined: joined ?? null },
  });
}
