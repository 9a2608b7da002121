/** Removing objects that an earlier apply brought and this manifest no longer has. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS } from '../../core/kinds.ts';
import {
  type ApiResource,
  collectionPath,
  type Discovery,
  objectPath,
} from '../../kubernetes/api/discovery.ts';
import { isAppliedByAgent } from '../../kubernetes/deployments/applied-fields.ts';
import { continueToken } from '../../kubernetes/watch/cluster-status.ts';
import { requireAllowed } from '../../policy/decision.ts';
import type { AppliedObject } from '../../protocol/commands/apply.ts';
import type { CommandContext } from '../engine/handler.ts';
import { failed } from './object.ts';
import { accessTo, isDefinition, isNamespace, isSecret, type PlannedObject } from './plan.ts';

/**
 * Kinds that are searched in each namespace of the manifest, whether it has them or not: when its
 * only ConfigMap was taken out, that ConfigMap must go. Claims on storage are not among them: they
 * go only when the manifest has others of their kind.
 */
const USUAL_KINDS = [
  KINDS.ingress,
  KINDS.service,
  KINDS.deployment,
  KINDS.statefulSet,
  KINDS.daemonSet,
  KINDS.cronJob,
  KINDS.job,
  KINDS.configMap,
] as const;

/** Where to search: one kind in one namespace, or one kind outside of namespaces. */
export interface PrunePlace {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
}

/**
 * Never Namespaces and definitions, whose deletion would delete data, and never Secrets, which
 * cannot be found without being read.
 */
export async function prunePlaces(
  discovery: Discovery,
  objects: readonly PlannedObject[],
  signal: AbortSignal,
): Promise<readonly PrunePlace[]> {
  const places = new Map<string, PrunePlace>();
  const add = (resource: ApiResource | undefined, namespace: string | undefined) => {
    if (resource !== undefined) {
      places.set(collectionPath(resource, namespace), { resource, namespace });
    }
  };
  const namespaces = new Set(objects.flatMap(({ target }) => target ?? []));
  const own = objects.filter(
    (each) => !isNamespace(each) && !isDefinition(each) && !isSecret(each),
  );
  for (const { resource, target } of own) {
    add(resource, target);
  }
  for (const kind of USUAL_KINDS) {
    const resource = await discovery.find(kind, signal);
    for (const namespace of namespaces) {
      add(resource, namespace);
    }
  }
  return [...places.values()];
}

/** @throws AgentError POLICY_DENIED when the policy does not allow it in one of the places */
export function requirePruneAllowed(
  { policy }: Pick<CommandContext, 'policy'>,
  places: readonly PrunePlace[],
): void {
  for (const { resource, namespace } of places) {
    for (const verb of ['list', 'delete']) {
      requireAllowed(policy.access(accessTo(resource, namespace, '', verb)));
    }
  }
}

/**
 * Removes from one place the objects that carry the label, were applied by the agent, and are not
 * kept.
 */
export async function prunePlace(
  context: CommandContext,
  place: PrunePlace,
  wish: {
    readonly label: string;
    readonly keep: readonly PlannedObject[];
    readonly dryRun: boolean;
  },
): Promise<readonly AppliedObject[]> {
  const { resource, namespace } = place;
  const kept = new Set(
    wish.keep
      .filter((each) => each.kind === resource.kind && each.target === namespace)
      .map(({ name }) => name),
  );
  const pruned: AppliedObject[] = [];
  for (const { name, uid } of await candidates(context, place, wish.label)) {
    if (kept.has(name)) {
      continue;
    }
    const label = {
      kind: resource.kind,
      ...(namespace === undefined ? {} : { namespace }),
      name,
    };
    try {
      if (!wish.dryRun) {
        await context.kubernetes.remove(objectPath(resource, namespace, name), uid, context.signal);
      }
      pruned.push({ ...label, result: 'pruned' });
    } catch (thrown) {
      if (!(thrown instanceof AgentError) || context.signal.aborted) {
        throw thrown;
      }
      pruned.push({ ...label, ...failed(thrown) });
    }
  }
  return pruned;
}

async function candidates(
  { kubernetes, signal }: CommandContext,
  { resource, namespace }: PrunePlace,
  labelSelector: string,
): Promise<readonly { readonly name: string; readonly uid: string }[]> {
  const found: { name: string; uid: string }[] = [];
  let next: string | undefined;
  do {
    const page = await kubernetes.page<KubernetesObject>(
      collectionPath(resource, namespace),
      { labelSelector, ...(next === undefined ? {} : { continue: next }) },
      signal,
    );
    for (const object of page.items) {
      const { name, uid, deletionTimestamp } = object.metadata ?? {};
      const going = deletionTimestamp !== undefined;
      if (name !== undefined && uid !== undefined && !going && isAppliedByAgent(object)) {
        found.push({ name, uid });
      }
    }
    next = continueToken(page.metadata);
  } while (next !== undefined);
  return found;
}
