/**
 * What the agent on a server does about the cluster's workers: it ends join tokens that are used up or
 * misused, and takes out the nodes whose machines have left. Its account may do just that, and the
 * admission policy says to which objects (policy/admission/rules.ts).
 */
import type { V1ConfigMap, V1Node } from '@kubernetes/client-node';
import { bell, rungWithin } from '../../core/bell.ts';
import { toAgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject } from '../../core/kinds.ts';
import {
  CONTROL_PLANE_LABEL,
  JOIN_TOKEN_ANNOTATION,
  JOIN_TOKEN_LABEL,
  LEFT_ANNOTATION,
} from '../../core/labels.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { JOIN_LIMITS_KEY, type JoinLimits, parseJoinLimits } from '../../protocol/join-limits.ts';
import type { KubernetesClient } from '../api/client.ts';
import type { InformerSink } from '../watch/informer.ts';
import { KindCache } from '../watch/kind-cache.ts';
import type { FollowKind } from '../watch/shared-following.ts';
import { type JoinedNode, judgeToken } from './join-verdict.ts';

const TOKEN_NAMESPACE = 'kube-system';
/** How long something that failed rests before it is tried again. */
const RETRY_MS = 30_000;
/** Trespassers that are told, at most. */
const TOLD_MAX = 20;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: KubernetesClient;
  readonly follow: FollowKind;
}

interface NodeRow extends JoinedNode {
  readonly uid: string;
  readonly isServer: boolean;
  readonly hasLeft: boolean;
}

interface TokenRow {
  readonly id: string;
  readonly limits: JoinLimits;
  /** Of the Secret, which owns the limits. */
  readonly secretUid: string;
}

export interface Workers {
  /** Nodes that a join token was not made for, as sentences. */
  trespassers(): readonly { readonly node: string; readonly message: string }[];
  readonly service: Service;
}

/** Follows nodes and join tokens, and acts on each change. */
export function workers(deps: Deps): Workers {
  const changed = bell();
  const nodes = new KindCache<V1Node, NodeRow>(deps, {
    key: ({ metadata }) => metadata?.name ?? '',
    pick: nodeRow,
  });
  const tokens = new KindCache<V1ConfigMap, TokenRow | undefined>(deps, {
    key: ({ metadata }) => metadata?.name ?? '',
    pick: tokenRow,
  });
  const state: State = { nodes, tokens, told: new Map(), ended: new Set() };
  const limits = pathOfKind(KINDS.configMap, TOKEN_NAMESPACE);
  return {
    trespassers: () => [...state.told].map(([node, message]) => ({ node, message })),
    service: {
      name: 'workers',
      start: async (signal) => ({
        done: Promise.all([
          deps.follow(pathOfKind(KINDS.node), ringing(nodes, changed.ring), signal),
          deps.follow(limits, ringing(tokens, changed.ring), signal),
          act(deps, state, changed, signal),
        ]).then(() => undefined),
      }),
    },
  };
}

interface State {
  readonly nodes: KindCache<V1Node, NodeRow>;
  readonly tokens: KindCache<V1ConfigMap, TokenRow | undefined>;
  /** By node: what it did. */
  readonly told: Map<string, string>;
  /** Secrets by UID that are gone: what they own goes a moment later. */
  readonly ended: Set<string>;
}

async function act(
  deps: Deps,
  state: State,
  changed: ReturnType<typeof bell>,
  signal: AbortSignal,
): Promise<void> {
  let seen = '';
  while (!signal.aborted) {
    await rungWithin(deps, changed, RETRY_MS, signal);
    const isKnown = state.nodes.isKnown() && state.tokens.isKnown();
    const now = `${state.nodes.generation} ${state.tokens.generation}`;
    if (!isKnown || now === seen || signal.aborted) {
      continue; // Most changes of a node are signs of life.
    }
    const isDone = await lookAtAll(deps, state, signal);
    seen = isDone ? now : '';
    if (!isDone) {
      await deps.clock.sleep(RETRY_MS, signal);
    }
  }
}

/** @returns whether all of it worked */
async function lookAtAll(deps: Deps, state: State, signal: AbortSignal): Promise<boolean> {
  const nodes = state.nodes.rows();
  const tokens = state.tokens.rows().filter((row) => row !== undefined);
  forgetGone(state, nodes, tokens);
  let isDone = true;
  for (const node of nodes.filter(({ hasLeft, isServer }) => hasLeft && !isServer)) {
    isDone = (await takeOut(deps, node, signal)) && isDone;
  }
  for (const token of tokens.filter(({ secretUid }) => !state.ended.has(secretUid))) {
    const { end, trespassers } = judgeToken(token.id, token.limits, nodes);
    for (const { name, how } of trespassers) {
      tell(deps, state, name, `Node "${name}" joined ${how}`);
    }
    if (end !== undefined) {
      isDone = (await endToken(deps, state, token, end, signal)) && isDone;
    }
  }
  return isDone;
}

function forgetGone(
  state: State,
  nodes: readonly NodeRow[],
  tokens: readonly { readonly secretUid: string }[],
): void {
  for (const name of state.told.keys()) {
    if (!nodes.some((node) => node.name === name)) {
      state.told.delete(name);
    }
  }
  for (const uid of state.ended) {
    if (!tokens.some(({ secretUid }) => secretUid === uid)) {
      state.ended.delete(uid);
    }
  }
}

function tell({ log }: Deps, { told }: State, node: string, message: string): void {
  if (!told.has(node) && told.size < TOLD_MAX) {
    told.set(node, message);
    log.warn('a node joined with a token that was not for it', {
      error_code: 'JOIN_TOKEN_MISUSED',
      node,
      error: message,
    });
  }
}

function endToken(
  deps: Deps,
  state: State,
  { id, secretUid }: TokenRow,
  reason: string,
  signal: AbortSignal,
): Promise<boolean> {
  const name = `bootstrap-token-${id}`;
  const path = pathOfObject(KINDS.secret, { namespace: TOKEN_NAMESPACE, name });
  return attempt(deps, { what: 'end a join token', id }, signal, async () => {
    await deps.client.remove(path, secretUid, signal);
    state.ended.add(secretUid);
    deps.log.info('ended a join token', { id, reason });
  });
}

function takeOut(deps: Deps, { name, uid }: NodeRow, signal: AbortSignal): Promise<boolean> {
  const path = pathOfObject(KINDS.node, { name });
  return attempt(deps, { what: 'take out a node that has left', id: name }, signal, async () => {
    if (await deps.client.remove(path, uid, signal)) {
      deps.log.info('took out a node that has left', { node: name });
    }
  });
}

async function attempt(
  { log }: Deps,
  about: { readonly what: string; readonly id: string },
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (thrown) {
    const { code, message } = toAgentError(thrown);
    if (!signal.aborted) {
      log.warn(`cannot ${about.what}`, { id: about.id, error_code: code, error: message });
    }
    return false;
  }
}

/** The same sink, which rings when there may be something new. */
function ringing<T>(sink: InformerSink<T>, ring: () => void): InformerSink<T> {
  return {
    listing: () => sink.listing(),
    put: (object) => {
      sink.put(object);
      ring();
    },
    remove: (object) => {
      sink.remove(object);
      ring();
    },
    listed: () => {
      sink.listed();
      ring();
    },
    reached: () => sink.reached(),
    failed: (error) => sink.failed(error),
  };
}

function nodeRow({ metadata, status }: V1Node): NodeRow {
  const { annotations = {}, labels = {} } = metadata ?? {};
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    isServer: labels[CONTROL_PLANE_LABEL] !== undefined,
    isReady: (status?.conditions ?? []).some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    ),
    addresses: (status?.addresses ?? []).flatMap(({ type, address }) =>
      type === 'InternalIP' ? [address] : [],
    ),
    // On the wire it is text; client-node's type says Date.
    created: String(metadata?.creationTimestamp ?? ''),
    tokenId: annotations[JOIN_TOKEN_ANNOTATION],
    hasLeft: annotations[LEFT_ANNOTATION] !== undefined,
  };
}

/** @returns undefined for a ConfigMap of somebody else */
function tokenRow({ metadata, data }: V1ConfigMap): TokenRow | undefined {
  const id = metadata?.labels?.[JOIN_TOKEN_LABEL];
  const limits = parseJoinLimits(data?.[JOIN_LIMITS_KEY]);
  const owner = metadata?.ownerReferences?.find(({ kind }) => kind === KINDS.secret.kind);
  const isKnown = id !== undefined && limits !== undefined && owner !== undefined;
  return isKnown ? { id, limits, secretUid: owner.uid } : undefined;
}
