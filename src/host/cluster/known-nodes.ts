/** What the cluster knows of this machine before it joins, asked with the join token. */
import { textWithin } from '../../core/bounded-body.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../core/labels.ts';
import type { Clock, Http } from '../../core/ports.ts';
import { within } from '../../core/waiting.ts';
import { JoiningNodeList } from '../../protocol/kubectl.ts';
import { bearerOf } from './join-server.ts';

const ASK_TIMEOUT_MS = 10_000;
/** Nodes that are looked at: the first page of a list. */
const NODES_MAX = 500;
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

export interface KnownNode {
  readonly name: string;
  readonly isServer: boolean;
  /** Its kubelet reports. */
  readonly isAlive: boolean;
  readonly address: string | undefined;
  readonly machineId: string;
}

interface Deps {
  readonly clock: Clock;
  readonly http: Http;
  readonly signal: AbortSignal;
}

/**
 * The nodes of the cluster. Who holds a join token may ask for them where the server's agent has said so
 * (kubernetes/account/rbac.ts).
 * @returns undefined where the cluster does not say: then k3s itself finds a name that is taken, later
 */
export async function askKnownNodes(
  deps: Deps,
  server: string,
  ca: string,
  k3sToken: string,
): Promise<readonly KnownNode[] | undefined> {
  const bearer = bearerOf(k3sToken);
  if (bearer === undefined) {
    return undefined;
  }
  const url = `${server}${pathOfKind(KINDS.node)}?limit=${NODES_MAX}`;
  const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json' };
  try {
    return await within(deps.clock, ASK_TIMEOUT_MS, deps.signal, async (signal) => {
      const options = { tls: { ca }, headers, redirect: 'manual', signal } as const;
      const response = await deps.http(url, options);
      const text = (await textWithin(response, ANSWER_BYTES_MAX)) ?? '';
      return response.ok ? nodesIn(text) : undefined;
    });
  } catch {
    return undefined; // It was reached a moment before: what it is to say, k3s will hear.
  }
}

function nodesIn(text: string): readonly KnownNode[] | undefined {
  return JoiningNodeList.safeParse(JSON.parse(text)).data?.items.map(({ metadata, status }) => ({
    name: metadata.name,
    isServer: metadata.labels[CONTROL_PLANE_LABEL] === 'true',
    isAlive: status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    address: status.addresses.find(({ type }) => type === 'InternalIP')?.address,
    machineId: status.nodeInfo.machineID,
  }));
}
