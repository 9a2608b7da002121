/** Versions of k3s, and which may follow which (kubernetes.io, "Version Skew Policy"). */
import { AgentError } from './errors.ts';

const SHAPE = /^v(\d{1,3})\.(\d{1,3})\.(\d{1,4})(?:-([a-z0-9.]{1,20}))?\+k3s(\d{1,4})$/;
/** A kubelet may be older than the API server by so many minor versions, and never newer. */
const KUBELET_MINORS_OLDER_MAX = 3;

/** A node as far as its version matters. */
export interface VersionedNode {
  readonly name: string;
  readonly isServer: boolean;
  /** `v1.36.3+k3s1` */
  readonly version: string;
}

export function isK3sVersion(text: string): boolean {
  return SHAPE.test(text);
}

/** @returns below 0 where `a` is the older one; what is no version of k3s is older than any */
function compareK3sVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  const [preA = '', preB = ''] = [a, b].map((text) => SHAPE.exec(text)?.[4]);
  return preA.localeCompare(preB, 'en', { numeric: true });
}

/** Major, minor, patch, whether it is a release, and which build of k3s. */
function numbersOf(text: string): readonly number[] {
  const [, major = 0, minor = 0, patch = 0, pre, build = 0] = SHAPE.exec(text) ?? [];
  return [major, minor, patch, pre === undefined ? 1 : 0, build].map(Number);
}

/** How many minor versions lie between, in either direction with its sign; infinite between major ones. */
export function minorsBetween(from: string, to: string): number {
  const [[majorA = 0, minorA = 0], [majorB = 0, minorB = 0]] = [numbersOf(from), numbersOf(to)];
  return majorA === majorB ? minorB - minorA : (majorB - majorA) * Number.POSITIVE_INFINITY;
}

/**
 * Whether a node may go from one version to another, beside the others as they are now.
 * @param others all nodes of the cluster that are known, but this one
 * @throws AgentError VERSION_REFUSED with the next command that helps
 */
export function requireUpgradable(
  node: VersionedNode,
  to: string,
  others: readonly VersionedNode[],
): void {
  const { version: from, name } = node;
  if (compareK3sVersions(to, from) < 0) {
    throw new AgentError(
      'VERSION_REFUSED',
      `k3s ${to} is older than ${from}, which runs on ${name}`,
      {
        hint:
          'Kubernetes has no way back but the data of before: a snapshot with the k3s that made it ' +
          '(docs/UPGRADE.md, "Back to the k3s of before")',
      },
    );
  }
  if (minorsBetween(from, to) > 1) {
    const [major = 1, minor = 0] = numbersOf(from);
    throw new AgentError(
      'VERSION_REFUSED',
      `From k3s ${from} on ${name} to ${to} are ${minorsBetween(from, to)} minor versions; Kubernetes goes one at a time`,
      { hint: `First: sudo pipeops-agent upgrade k3s --channel v${major}.${minor + 1}` },
    );
  }
  if (node.isServer) {
    requireKubelets(to, others);
  } else {
    requireServers(name, to, others);
  }
}

function requireKubelets(to: string, others: readonly VersionedNode[]): void {
  const behind = others.filter(
    ({ version }) => minorsBetween(version, to) > KUBELET_MINORS_OLDER_MAX,
  );
  if (behind.length > 0) {
    throw new AgentError(
      'VERSION_REFUSED',
      `Beside servers with ${to} these nodes would be too old: ${named(behind)}`,
      {
        hint: 'Upgrade them first, there: sudo pipeops-agent upgrade k3s --to VERSION-OF-THE-SERVERS',
      },
    );
  }
  const apart = others.filter(
    ({ isServer, version }) => isServer && Math.abs(minorsBetween(version, to)) > 1,
  );
  if (apart.length > 0) {
    throw new AgentError(
      'VERSION_REFUSED',
      `Servers may be one minor version apart, and beside ${to} there are ${named(apart)}`,
      { hint: 'Bring those to the next minor version first' },
    );
  }
}

function requireServers(name: string, to: string, others: readonly VersionedNode[]): void {
  const older = others.filter(
    ({ isServer, version }) => isServer && compareK3sVersions(version, to) < 0,
  );
  if (older.length > 0) {
    throw new AgentError(
      'VERSION_REFUSED',
      `No worker may be newer than its servers: ${to} on ${name}, and ${named(older)}`,
      { hint: 'Upgrade the servers first; on one of them: sudo pipeops-agent upgrade k3s' },
    );
  }
}

function named(nodes: readonly VersionedNode[]): string {
  return nodes.map(({ name, version }) => `${name} (${version})`).join(', ');
}
