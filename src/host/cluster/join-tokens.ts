import { AgentError } from '../../core/errors.ts';
import {
  K3S_EXECUTABLE,
  K3S_SERVER_CA_FILE,
  K3S_SERVER_TOKEN_FILE,
  type K3sRole,
} from '../../core/k3s-places.ts';
import { JOIN_TOKEN_ANNOTATION } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, ExecResult, Files, Http } from '../../core/ports.ts';
import { certificatesOf, trustAnchors } from '../../core/trust-anchors.ts';
import type { JoinLimits } from '../../protocol/join-limits.ts';
import { BootstrapTokenSecrets, NodeList } from '../../protocol/kubectl.ts';
import {
  bootstrapTokenId,
  encodeJoinToken,
  type JoinTokenContent,
} from '../../protocol/secrets/join-token.ts';
import { apiAddress, readKubernetesJson } from '../k3s/kubectl.ts';
import { networkSettings } from '../k3s/networks.ts';
import { readK3sFiles, type ToldK3s } from '../k3s/told.ts';
import { type ClusterInfo, readClusterInfo } from './info.ts';
import { type Enforcer, limitToken, readLimits, readTokenSecrets } from './join-limits.ts';
import { checkServersWell } from './server-join.ts';

const TOKEN_TIMEOUT_MS = 30_000;
/** The description of a token if none was given. It tells ours from those of other tools. */
const DESCRIPTION_DEFAULT = 'pipeops-agent';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly http: Http;
  readonly places: Places;
  readonly signal: AbortSignal;
}

/** What a token is for, and what it is bound to. */
export interface JoinTokenOptions {
  readonly ttlMs: number;
  /** What it is for, for people. */
  readonly description?: string | undefined;
  /** How many nodes may join with it; 0: any number until it ends. */
  readonly uses: number;
  /** The name that they may take; `*` stands for any characters. */
  readonly node: string | undefined;
  /** The networks from which they may come; empty: any. */
  readonly from: readonly string[];
  readonly role: K3sRole;
  /** Fixed name or address of the servers, which is tried before those of each. */
  readonly serverAddress?: string | undefined;
}

export interface CreatedJoinToken {
  /** What `join` takes: secret. */
  readonly token: string;
  /** What `token delete` takes. */
  readonly id: string;
  readonly role: K3sRole;
  /** ISO time. */
  readonly expires: string;
  readonly uses: number;
  readonly node: string | null;
  readonly from: readonly string[];
  readonly servers: readonly string[];
}

export interface JoinTokenEntry {
  readonly id: string;
  readonly description: string;
  readonly expires: string | null;
  readonly role: K3sRole;
  /** How many nodes may join with it, 0 for any number; null where nobody has limited it. */
  readonly uses: number | null;
  readonly node: string | null;
  readonly from: readonly string[];
  /** The nodes that have joined with it. */
  readonly used_by: readonly string[];
}

/**
 * Makes a token that makes another machine a worker or a server: a bootstrap token of Kubernetes that ends by
 * itself (docs.k3s.io, "k3s token"), and with its last use by the daemon of this server. For a server it
 * comes with k3s' own token of servers, which has no end.
 * @param enforcer the daemon's account
 * @throws AgentError NOT_A_SERVER, TOOL_FAILED, KUBERNETES_API, SERVERS_NOT_READY
 */
export async function newJoinToken(
  deps: Deps,
  options: JoinTokenOptions,
  enforcer: Enforcer,
): Promise<CreatedJoinToken> {
  const ca = await readCa(deps);
  const info = await readClusterInfo(deps);
  const { settings } = await readK3sFiles(deps);
  const ofServer = options.role === 'server' ? await serverPart(deps, info, settings) : undefined;
  const servers = withFixedAddress(info.servers, options.serverAddress);
  const now = deps.clock.now();
  const expires = new Date(now.getTime() + options.ttlMs).toISOString();
  const { token, id } = await newBootstrapToken(deps, options);
  const bound = {
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.from.length === 0 ? {} : { from: [...options.from] }),
  };
  const { role, uses } = options;
  const kind = role === 'server' ? ({ role } as const) : {};
  const limits = { v: 1, uses, ...bound, ...kind, created: now.toISOString() } as const;
  await limitOrEnd(deps, id, limits, enforcer);
  const content = {
    v: 1 as const,
    ...{ servers: [...servers], token, role, expires, ...bound },
    ...(info.k3s_version === null ? {} : { k3s: info.k3s_version }),
    ...(settings['embedded-registry'] === true ? { embedded_registry: true as const } : {}),
    ...networksPart(settings),
    ca: shortened(ca),
  } as const;
  return {
    token: encodeJoinToken(
      ofServer === undefined ? content : { ...content, ...ofServer, gate: token },
    ),
    ...{ id, role, expires, uses, node: options.node ?? null, from: options.from, servers },
  };
}

/** Only where they are not the usual ones. */
function networksPart(settings: ToldK3s['settings']): Pick<JoinTokenContent, 'networks'> {
  const { cluster_cidr, service_cidr } = networkSettings(settings);
  return cluster_cidr.length + service_cidr.length === 0
    ? {}
    : { networks: { pods: [...cluster_cidr], services: [...service_cidr] } };
}

/** What a further server needs beside what a worker does. @throws AgentError SERVERS_NOT_READY */
async function serverPart(deps: Deps, { nodes }: ClusterInfo, settings: ToldK3s['settings']) {
  await checkServersWell(deps, nodes);
  const token = (await deps.files.readText(K3S_SERVER_TOKEN_FILE))?.trim();
  if (token === undefined) {
    throw notAServer();
  }
  const list = (key: string) => [settings[key] ?? []].flat().map(String);
  return { token, disable: list('disable'), names: list('tls-san') };
}

function withFixedAddress(
  servers: readonly string[],
  address: string | undefined,
): readonly string[] {
  return address === undefined ? servers : [...new Set([apiAddress(address), ...servers])];
}

async function newBootstrapToken(
  deps: Deps,
  { ttlMs, description = DESCRIPTION_DEFAULT }: JoinTokenOptions,
): Promise<{ readonly token: string; readonly id: string }> {
  const seconds = Math.ceil(ttlMs / 1_000);
  const result = await k3sToken(deps, [
    'create',
    `--ttl=${seconds}s`,
    `--description=${description}`,
  ]);
  const token = result.stdout.trim();
  const id = bootstrapTokenId(token);
  if (id === undefined) {
    throw new AgentError('TOOL_FAILED', '"k3s token create" did not print a bootstrap token', {
      hint: 'Check the version of k3s: k3s --version',
    });
  }
  return { token, id };
}

/** A token without its limits would be worth more than was asked for. */
async function limitOrEnd(
  deps: Deps,
  id: string,
  limits: JoinLimits,
  enforcer: Enforcer,
): Promise<void> {
  let problem: string | undefined;
  try {
    problem = await limitToken(deps, id, limits, enforcer);
  } catch (thrown) {
    await k3sToken(deps, ['delete', id]);
    throw thrown;
  }
  if (problem !== undefined) {
    await k3sToken(deps, ['delete', id]);
    throw new AgentError('KUBERNETES_API', `Cannot note what the token is bound to: ${problem}`, {
      hint: 'See how Kubernetes is: sudo k3s kubectl get nodes',
    });
  }
}

/** Lists the tokens without their secret part. @throws AgentError NOT_A_SERVER, KUBERNETES_API */
export async function listJoinTokens(deps: Deps): Promise<readonly JoinTokenEntry[]> {
  await readCa(deps);
  const list = BootstrapTokenSecrets.parse(await readTokenSecrets(deps));
  const limits = await readLimits(deps);
  const nodes = NodeList.parse(await readKubernetesJson(deps, ['get', 'nodes']));
  return list.items.map(({ data }) => {
    const id = fromBase64(data['token-id']);
    const { uses = null, node = null, from = [], role = 'agent' } = limits.get(id) ?? {};
    return {
      id,
      description: fromBase64(data.description),
      expires: data.expiration === undefined ? null : fromBase64(data.expiration),
      role,
      uses,
      node,
      from,
      used_by: nodes.items.flatMap(({ metadata: { name, annotations } }) =>
        annotations[JOIN_TOKEN_ANNOTATION] === id ? [name] : [],
      ),
    };
  });
}

/** @throws AgentError NOT_A_SERVER, NOT_FOUND, TOOL_FAILED */
export async function revokeJoinToken(deps: Deps, id: string): Promise<void> {
  const known = await listJoinTokens(deps);
  if (!known.some((entry) => entry.id === id)) {
    throw new AgentError('NOT_FOUND', `There is no join token "${id}"`, {
      hint: 'See the tokens of this cluster: sudo pipeops-agent token list',
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

/** A whole chain of certificates would make the token too long. Its beginning is enough. */
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
