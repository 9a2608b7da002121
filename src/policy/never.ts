import { GROUPS } from '../core/kinds.ts';
/** What gives its writer, or reader, more than it says: neither a preset nor the file can have it. */

/**
 * Who may do what, what the API server asks on each request, who answers for a group of the API,
 * certificates of anybody.
 */
export const NEVER_WRITTEN_GROUPS: readonly string[] = [
  GROUPS.rbac,
  GROUPS.admission,
  GROUPS.aggregation,
  GROUPS.certificates,
];
/** Their objects are questions, which are kept nowhere: tokens and permissions of others. */
const ASKED_GROUPS: readonly string[] = [GROUPS.authentication, GROUPS.authorization];

/**
 * Rancher's: what k3s and its helpers run as the cluster's administrator, or as root on the nodes
 * (helm.cattle.io, k3s.cattle.io, upgrade.cattle.io …).
 */
export const NEVER_GROUP_SUFFIX = '.cattle.io';

/** Of the core group: they pass the scheduler or the life of a namespace by. */
export const NEVER_WRITTEN_RESOURCES: readonly string[] = [
  'bindings',
  'pods/binding',
  'namespaces/finalize',
];

/** Of the core group: what has a key of its own in the file, or is never given. */
const NEVER_GRANTED_RESOURCES: ReadonlySet<string> = new Set([
  ...NEVER_WRITTEN_RESOURCES,
  'secrets',
  'serviceaccounts/token',
  ...['exec', 'attach', 'portforward', 'proxy'].map((name) => `pods/${name}`),
  'services/proxy',
  '*',
]);
/** Subresources that may be granted of every kind of the core group at once. */
const COMMON_SUBRESOURCES: readonly string[] = ['status', 'scale'];

/** @param resource with its subresource: `pods/log`; `*` and `*` + `/status` as RBAC has them */
export function isNeverGranted(group: string, resource: string): boolean {
  if (group !== '') {
    return (
      NEVER_WRITTEN_GROUPS.includes(group) ||
      ASKED_GROUPS.includes(group) ||
      group.endsWith(NEVER_GROUP_SUFFIX)
    );
  }
  const [kind = '', subresource] = resource.split('/');
  return (
    NEVER_GRANTED_RESOURCES.has(resource) ||
    // The kubelet gives all of its node's pods to who may use some of these.
    (kind === 'nodes' && subresource !== undefined) ||
    (kind === '*' && subresource !== undefined && !COMMON_SUBRESOURCES.includes(subresource))
  );
}
