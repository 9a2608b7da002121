/** Whether a join token may live on, judged by the nodes that say they joined with it. */
import { isInCidr } from '../../core/ip-range.ts';
import { matchesGlob } from '../../core/text/glob.ts';
import type { JoinLimits } from '../../protocol/join-limits.ts';

export interface JoinedNode {
  readonly name: string;
  readonly isReady: boolean;
  /** Its InternalIPs. */
  readonly addresses: readonly string[];
  /** ISO time. */
  readonly created: string;
  readonly tokenId: string | undefined;
}

export interface Trespasser {
  readonly name: string;
  /** As the end of a sentence: "Node NAME joined …". */
  readonly how: string;
}

export interface JoinVerdict {
  /** Why the token is to end now; undefined: it lives. */
  readonly end: string | undefined;
  /** Nodes that the token was not for. */
  readonly trespassers: readonly Trespasser[];
}

/** @param nodes all of the cluster */
export function judgeToken(
  id: string,
  limits: JoinLimits,
  nodes: readonly JoinedNode[],
): JoinVerdict {
  const joined = nodes
    .filter(({ tokenId }) => tokenId === id)
    .toSorted((a, b) => a.created.localeCompare(b.created) || a.name.localeCompare(b.name));
  const { uses } = limits;
  const trespassers = joined.flatMap((node, index) => {
    const how =
      nameProblem(node, limits) ??
      addressProblem(node, limits) ??
      (uses > 0 && index >= uses ? `with a join token for ${uses} that was used up` : undefined);
    return how === undefined ? [] : [{ name: node.name, how }];
  });
  const ready = joined.filter(({ isReady }) => isReady).length;
  return {
    end:
      trespassers.length > 0
        ? 'it was used for what it was not made for'
        : uses > 0 && ready >= uses
          ? 'it is used up'
          : undefined,
    trespassers,
  };
}

function nameProblem({ name }: JoinedNode, { node }: JoinLimits): string | undefined {
  return node === undefined || matchesGlob(node, name)
    ? undefined
    : `with a join token for the name "${node}"`;
}

function addressProblem({ addresses }: JoinedNode, { from }: JoinLimits): string | undefined {
  const isFrom = addresses.some((each) => from?.some((cidr) => isInCidr(each, cidr)));
  // Its addresses may come a moment after the node itself.
  return from === undefined || addresses.length === 0 || isFrom
    ? undefined
    : `from ${addresses.join(', ')}, with a join token for ${from.join(', ')}`;
}
