import { AgentError } from '../core/errors.ts';
import type { Exec, Files, Http } from '../core/ports.ts';
import { isNodeReady } from './k3s-ready.ts';
import { K3S_AGENT_CA_FILE, K3S_CONFIG_FILE, K3S_TOKEN_FILE } from './paths.ts';
import { certificatesOf } from './trust-anchors.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly http: Http;
}

/** Whether this machine is a worker that works, by this very token: then nobody asks for it again. */
export async function isJoinedWith(
  deps: Deps,
  k3sToken: string,
  hostname: string,
): Promise<boolean> {
  return (
    (await deps.files.readText(K3S_TOKEN_FILE)) === `${k3sToken}\n` &&
    (await isNodeReady(deps, 'agent', hostname))
  );
}

/** What a worker joined, and by which token of k3s; undefined where no join has come that far. */
export async function readJoined(deps: {
  readonly files: Files;
}): Promise<{ readonly serverUrl: string; readonly k3sToken: string } | undefined> {
  const config = (await deps.files.readText(K3S_CONFIG_FILE)) ?? '';
  const serverUrl = /^server: "(https:[^"]+)"$/m.exec(config)?.[1];
  const k3sToken = (await deps.files.readText(K3S_TOKEN_FILE))?.trim();
  return serverUrl === undefined || k3sToken === undefined ? undefined : { serverUrl, k3sToken };
}

/** @throws AgentError CLUSTER_EXISTS when this machine is a worker of a cluster with another CA */
export async function checkSameCluster(deps: { readonly files: Files }, ca: string): Promise<void> {
  const known = await deps.files.readText(K3S_AGENT_CA_FILE);
  // The token may carry only the beginning of the chain.
  const given = certificatesOf(ca);
  const own = new Set(certificatesOf(known ?? ''));
  if (known !== undefined && (given.length === 0 || !given.every((each) => own.has(each)))) {
    throw new AgentError('CLUSTER_EXISTS', 'This machine is a worker of another cluster', {
      hint: 'To move it, remove it there first: sudo pipeops-agent uninstall',
    });
  }
}
