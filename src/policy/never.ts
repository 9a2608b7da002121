import { GROUPS } from '../core/kinds.ts';
/**
 * Access that gives its writer, or reader, more than it says: neither a preset nor the file can
 * grant it.
 */

/**
 * They decide who may do what, what the API server asks on each request and who answers for a group
 * of the API, or give certificates for anybody.
 */
export const NEVER_WRITTEN_GROUPS: readonly string[] = [
  GROUPS.rbac,
  GROUPS.admission,
  GROUPS.aggregation,
  GROUPS.certificates,
];
/** Their objects are questions about tokens and permissions of others, and are not stored. */
const ASKED_GROUPS: readonly string[] = [GROUPS.authentication, GROUPS.authorization];

/**
 * Rancher's groups: what k3s and its helpers run as the cluster's administrator, or as root on the
 * nodes (helm.cattle.io, k3s.cattle.io, upgrade.cattle.io …).
 */
export const NEVER_GROUP_SUFFIX = '.cattle.io';

/** In the core group: they bypass the scheduler or the life of a namespace. */
export const NEVER_WRITTEN_RESOURCES: readonly string[] = [
  'bindings',
  'pods/binding',
  'namespaces/finalize',
];

/** In the core group: what has its own key in the file, or is never granted. */
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
    // The kubelet gives all pods of its node to anyone who may use some of these.
    (kind === 'nodes' && subresource !== undefined) ||
    (kind === '*' && subresource !== undefined && !COMMON_SUBRESOURCES.includes(subresource))
  );
}
