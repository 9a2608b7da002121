/** What an apply will do, decided and allowed before its first effect. */
import { GROUPS, isOfKind, KINDS } from '../../core/kinds.ts';

import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';
import type { ApiResource, Discovery } from '../../kubernetes/api/discovery.ts';
import { groupOf } from '../../kubernetes/api/discovery.ts';
import { type AccessRequest, type Policy, requireAllowed } from '../../policy/decision.ts';
import { decidesLife } from '../../policy/object-rules.ts';
import type { ManifestObject } from './manifest.ts';
import { contentOf } from './manifest.ts';

export interface PlannedObject extends ManifestObject {
  /** Undefined: this cluster has no such kind, and the manifest does not define it. */
  readonly resource: ApiResource | undefined;
  /** The namespace it goes to; undefined for objects outside of namespaces. */
  readonly target: string | undefined;
  /** That it gets beside its own. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** This command may make its kind or its namespace: a dry run cannot check it then. */
  readonly comesWithCommand: boolean;
}

const CUSTOM_RESOURCES = 'CustomResourceDefinition';

export async function planObjects(
  discovery: Discovery,
  objects: readonly ManifestObject[],
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly PlannedObject[]> {
  const coming = objects.flatMap(definedResources);
  const comingNamespaces = objects.filter(isNamespace).map(({ name }) => name);
  const planned: PlannedObject[] = [];
  for (const object of objects) {
    const there = await discovery.find(object, signal);
    const own = coming.find(
      ({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind,
    );
    const resource = there ?? own;
    const target =
      resource?.namespaced === true ? (object.namespace ?? namespace ?? 'default') : undefined;
    const comesWithCommand =
      (there === undefined && own !== undefined) ||
      (target !== undefined && (target === namespace || comingNamespaces.includes(target)));
    planned.push({ ...object, resource, target, comesWithCommand });
  }
  // Definitions and namespaces go first, because others need them; else the manifest's order
  // counts.
  return planned.toSorted((a, b) => rank(a) - rank(b));
}

function rank(object: ManifestObject): number {
  return isNamespace(object) || isDefinition(object) ? 0 : 1;
}

export function isNamespace(object: ManifestObject): boolean {
  return isOfKind(object, KINDS.namespace);
}

export function isDefinition({ apiVersion, kind }: ManifestObject): boolean {
  return groupOf(apiVersion) === GROUPS.definitions && kind === CUSTOM_RESOURCES;
}

export function isSecret(object: { apiVersion: string; kind: string }): boolean {
  return isOfKind(object, KINDS.secret);
}

/** The kinds that a CustomResourceDefinition will bring. */
function definedResources(object: ManifestObject): readonly ApiResource[] {
  if (!isDefinition(object)) {
    return [];
  }
  // If the shape is wrong, Kubernetes will say so when it is applied.
  const spec = contentOf(object)['spec'] as
    | {
        readonly group?: string;
        readonly scope?: string;
        readonly names?: { readonly plural?: string; readonly kind?: string };
        readonly versions?: readonly { readonly name?: string }[];
      }
    | undefined;
  const { group, scope, names } = spec ?? {};
  const { plural, kind } = names ?? {};
  if (group === undefined || plural === undefined || kind === undefined) {
    return [];
  }
  return (Array.isArray(spec?.versions) ? spec.versions : []).map((version) => ({
    group,
    apiVersion: `${group}/${version?.name}`,
    kind,
    resource: plural,
    namespaced: scope === 'Namespaced',
  }));
}

/**
 * Secrets are written without being read, so not patched: the answer to a patch has the old values.
 */
function verbsOf(object: PlannedObject): readonly string[] {
  return isSecret(object) ? ['create', 'update'] : ['create', 'patch'];
}

/** @throws AgentError POLICY_DENIED for the first object that the policy does not allow */
export async function requireAllAllowed(
  deps: { readonly clock: Clock; readonly policy: Policy },
  objects: readonly PlannedObject[],
): Promise<void> {
  const { policy } = deps;
  const budget = loopBudget(deps);
  for (const object of objects) {
    if (budget.spent()) {
      await budget.rest();
    }
    const { resource } = object;
    if (resource !== undefined) {
      for (const verb of verbsOf(object)) {
        requireAllowed(policy.access(accessTo(resource, object.target, object.name, verb)));
      }
      const content = contentOf(object);
      requireAllowed(policy.object(content));
      if (decidesLife(content)) {
        requireAllowed(policy.access(accessTo(resource, object.target, object.name, 'delete')));
      }
    }
  }
}

export function accessTo(
  { group, resource }: ApiResource,
  namespace: string | undefined,
  name: string,
  verb: string,
): AccessRequest {
  return { verb, group, resource, subresource: '', namespace: namespace ?? '', name };
}
