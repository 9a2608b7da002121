import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE, K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { BOOTSTRAP_TOKEN_SECRET } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, ExecResult, Files } from '../../core/ports.ts';
import { certificatesOf, trustAnchors } from '../../core/trust-anchors.ts';
import { BootstrapTokenSecrets } from '../../protocol/kubectl.ts';
import { encodeJoinToken } from '../../protocol/secrets/join-token.ts';
import { readKubernetesJson } from '../k3s/kubectl.ts';
import { readClusterInfo } from './info.ts';

const TOKEN_TIMEOUT_MS = 30_000;
/** Marks the tokens that were made here among those of other tools, where nobody said what for. */
const DESCRIPTION_DEFAULT = 'pipeops-agent';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export interface JoinTokenOptions {
  readonly ttlMs: number;
  /** What it is for, for people. */
  readonly description?: string | undefined;
}

export interface CreatedJoinToken {
  /** What `join` takes: secret. */
  readonly token: string;
  /** What `token revoke` takes. */
  readonly id: string;
  /** ISO time. */
  readonly expires: string;
  readonly servers: readonly string[];
}

export interface JoinTokenEntry {
  readonly id: string;
  readonly description: string;
  readonly expires: string | null;
}

/**
 * Makes a token that makes another machine a worker: a bootstrap token of Kubernetes that ends by
 * itself (docs.k3s.io, "k3s token").
 * @throws AgentError NOT_A_SERVER, TOOL_FAILED, KUBERNETES_API
 */
export async function createWorkerToken(
  deps: Deps,
  { ttlMs, description = DESCRIPTION_DEFAULT }: JoinTokenOptions,
): Promise<CreatedJoinToken> {
  const ca = await readCa(deps);
  const { servers } = await readClusterInfo(deps);
  const expires = new Date(deps.clock.now().getTime() + ttlMs).toISOString();
  const seconds = Math.ceil(ttlMs / 1_000);
  const result = await k3sToken(deps, [
    'create',
    `--ttl=${seconds}s`,
    `--description=${description}`,
  ]);
  const token = result.stdout.trim();
  const id = /([a-z0-9]{6})\.[a-z0-9]{16}$/.exec(token)?.[1];
  if (id === undefined) {
    throw new AgentError('TOOL_FAILED', '"k3s token create" did not print a bootstrap token', {
      hint: 'Check the version of k3s: k3s --version',
    });
  }
  return {
    token: encodeJoinToken({
      v: 1,
      servers: [...servers],
      token,
      role: 'agent',
      expires,
      ca: shortened(ca),
    }),
    id,
    expires,
    servers,
  };
}

/** Never with the secret part. @throws AgentError NOT_A_SERVER, KUBERNETES_API */
export async function listJoinTokens(deps: Deps): Promise<readonly JoinTokenEntry[]> {
  await readCa(deps);
  const selector = `--field-selector=type=${BOOTSTRAP_TOKEN_SECRET}`;
  const list = BootstrapTokenSecrets.parse(
    await readKubernetesJson(deps, ['get', 'secrets', '--namespace=kube-system', selector]),
  );
  return list.items.map(({ data }) => ({
    id: fromBase64(data['token-id']),
    description: fromBase64(data.description),
    expires: data.expiration === undefined ? null : fromBase64(data.expiration),
  }));
}

/** @throws AgentError NOT_A_SERVER, NOT_FOUND, TOOL_FAILED */
export async function revokeJoinToken(deps: Deps, id: string): Promise<void> {
  const known = await listJoinTokens(deps);
  if (!known.some((entry) => entry.id === id)) {
    throw new AgentError('NOT_FOUND', `There is no join token "${id}"`, {
      hint: 'See the tokens of this cluster: pipeops-agent token list',
    });
  }
  await k3sToken(deps, ['delete', id]);
}

async function k3sToken(deps: Deps, args: readonly string[]): Promise<ExecResult> {
  const argv = [K3S_EXECUTABLE, 'token', ...args] as const;
  const result = await deps.exec.run(argv, { timeoutMs: TOKEN_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `"k3s token ${args[0]}" failed: ${result.stderr}`, {
      hint: 'Check that k3s runs: systemctl status k3s',
      details: { argv: [...argv], exit: result.exitCode },
    });
  }
  return result;
}

async function readCa(deps: { readonly files: Files }): Promise<string> {
  const ca = await deps.files.readText(K3S_SERVER_CA_FILE);
  if (ca === undefined) {
    throw notAServer();
  }
  return ca;
}

/** A chain of certificates leaves no room for the rest of the token: its beginning is enough. */
function shortened(ca: string): string {
  const all = certificatesOf(ca);
  return `${(all.length > 1 ? trustAnchors(ca) : all).join('\n')}\n`;
}

function notAServer(): AgentError {
  return new AgentError('NOT_A_SERVER', 'This machine is not a server of the cluster', {
    hint: 'Run this on a machine that was set up with: pipeops-agent install',
  });
}

function fromBase64(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString('utf8');
}
