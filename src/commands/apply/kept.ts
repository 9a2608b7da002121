/** Keeping objects as their manifests have them: brought back when they drift, removed when their manifest goes. */
import type { KubernetesObject } from '@kubernetes/client-node';
import { type AgentError, expectedError } from '../../core/errors.ts';
import { KEPT_BY_ANNOTATION } from '../../core/labels.ts';
import { type Discovery, discovery, groupOf, objectPath } from '../../kubernetes/api/discovery.ts';
import { isAppliedByAgent } from '../../kubernetes/deployments/applied-fields.ts';
import { requireAllowed } from '../../policy/decision.ts';
import type { KeptObject } from '../../protocol/files/kept-objects.ts';
import type { CommandContext } from '../engine/handler.ts';
import { parseManifest } from './manifest.ts';
import { type ApplyContext, applyObject } from './object.ts';
import {
  accessTo,
  isDefinition,
  isNamespace,
  isSecret,
  type PlannedObject,
  planObjects,
  requireAllAllowed,
} from './plan.ts';

const CLAIM = 'PersistentVolumeClaim';
/** Of all manifests together: each is asked for at each look. */
const KEPT_OBJECTS_MAX = 500;

/** By the keys of objects: as what they were brought, and which version of them that made. */
export type SeenObjects = Map<string, { readonly json: string; readonly version: string }>;

export type KeepContext = ApplyContext & Pick<CommandContext, 'policy' | 'workElsewhere' | 'node'>;

/** What hinders it, for a person. */
export interface KeepProblem {
  /** The file, or the object. */
  readonly about: string;
  readonly code: string;
  readonly message: string;
}

export interface KeepPlan {
  readonly objects: readonly PlannedObject[];
  readonly problems: readonly KeepProblem[];
}

/**
 * What the manifests want, of which all that is planned is allowed. A manifest with a problem is left out.
 * @param manifests by the names of their files
 */
export async function planKept(
  context: KeepContext,
  manifests: readonly { readonly file: string; readonly text: string }[],
): Promise<KeepPlan> {
  const kinds = discovery(context.kubernetes);
  const objects = new Map<string, PlannedObject>();
  const problems: KeepProblem[] = [];
  for (const { file, text } of manifests) {
    try {
      for (const object of await planManifest(context, kinds, text)) {
        const key = keyOf(keptOf(object));
        if (objects.has(key)) {
          const message = `has ${nameOf(keptOf(object))} once more`;
          problems.push({ about: file, code: 'COMMAND_INVALID', message });
        } else if (objects.size === KEPT_OBJECTS_MAX) {
          const message = `is more than ${KEPT_OBJECTS_MAX} objects in all`;
          problems.push({ about: file, code: 'COMMAND_INVALID', message });
          break;
        } else {
          objects.set(key, object);
        }
      }
    } catch (thrown) {
      const { code, message } = stillWanted(context, thrown);
      problems.push({ about: file, code, message });
    }
  }
  return { objects: [...objects.values()], problems };
}

async function planManifest(
  context: KeepContext,
  kinds: Discovery,
  text: string,
): Promise<readonly PlannedObject[]> {
  const { policy, signal, node } = context;
  const parsed = await parseManifest(context, { text, namespace: undefined }, signal);
  const planned = await planObjects(kinds, parsed, undefined, signal);
  for (const namespace of new Set(planned.flatMap(({ target }) => target ?? []))) {
    requireAllowed(policy.command({ type: 'apply', namespace }));
  }
  await requireAllAllowed(context, planned);
  return planned.map((object) => ({ ...object, annotations: { [KEPT_BY_ANNOTATION]: node } }));
}

/**
 * @param seen what earlier calls have seen: an object that nobody has touched since is not written again
 * @returns what was not as its manifest has it, and what could not be brought there
 */
export async function bringBack(
  context: KeepContext,
  objects: readonly PlannedObject[],
  seen: SeenObjects,
): Promise<{ readonly changed: readonly string[]; readonly problems: readonly KeepProblem[] }> {
  const changed: string[] = [];
  const problems: KeepProblem[] = [];
  for (const object of objects) {
    const about = nameOf(keptOf(object));
    try {
      const known = seen.get(keyOf(keptOf(object)));
      if (known?.json === object.json && known.version === (await versionOf(context, object))) {
        continue;
      }
      const applied = await applyObject(context, object, false);
      const { result, code = 'APPLY_FAILED', message = '' } = applied;
      if (result === 'failed') {
        problems.push({ about, code, message });
        continue;
      }
      // A Secret is written without being read: whether it had changed is not known.
      if (result === 'created' || (result === 'configured' && !isSecret(object))) {
        changed.push(about);
      }
      const version = await versionOf(context, object);
      if (version !== undefined) {
        seen.set(keyOf(keptOf(object)), { json: object.json, version });
      }
    } catch (thrown) {
      const { code, message } = stillWanted(context, thrown);
      problems.push({ about, code, message });
    }
  }
  return { changed, problems };
}

/** @returns undefined where there is none, and of a Secret */
async function versionOf(
  { kubernetes, signal }: KeepContext,
  { resource, target, name, ...object }: PlannedObject,
): Promise<string | undefined> {
  if (resource === undefined || isSecret(object)) {
    return undefined;
  }
  const path = objectPath(resource, target, name);
  return (await kubernetes.find<KubernetesObject>(path, signal))?.metadata?.resourceVersion;
}

/**
 * Removes what no manifest wants any more: what this machine has brought, and nobody else has applied since. Namespaces,
 * definitions and claims stay, because data would go with them, and Secrets, which are not read.
 * @returns what is gone; what could not be removed and is tried again
 */
export async function removeUnwanted(
  context: KeepContext,
  unwanted: readonly KeptObject[],
): Promise<{ readonly removed: readonly string[]; readonly left: readonly KeptObject[] }> {
  const kinds = discovery(context.kubernetes);
  const removed: string[] = [];
  const left: KeptObject[] = [];
  for (const object of unwanted) {
    try {
      if (await removeOne(context, kinds, object)) {
        removed.push(nameOf(object));
      }
    } catch (thrown) {
      stillWanted(context, thrown);
      left.push(object);
    }
  }
  return { removed, left };
}

async function removeOne(
  { kubernetes, policy, node, signal }: KeepContext,
  kinds: Discovery,
  object: KeptObject,
): Promise<boolean> {
  const { kind, name, namespace } = object;
  const resource = await kinds.find(object, signal);
  const named = { apiVersion: object.apiVersion, kind, name, namespace, json: '' };
  const stays =
    isNamespace(named) ||
    isDefinition(named) ||
    isSecret(named) ||
    (object.apiVersion === 'v1' && kind === CLAIM);
  if (resource === undefined || stays) {
    return false;
  }
  requireAllowed(policy.access(accessTo(resource, namespace, name, 'delete')));
  const path = objectPath(resource, namespace, name);
  const found = await kubernetes.find<KubernetesObject>(path, signal);
  const isOurs =
    found?.metadata?.annotations?.[KEPT_BY_ANNOTATION] === node && isAppliedByAgent(found);
  if (!isOurs || found.metadata?.uid === undefined) {
    return false;
  }
  await kubernetes.remove(path, found.metadata.uid, signal);
  return true;
}

export function keptOf({ apiVersion, kind, name, target }: PlannedObject): KeptObject {
  return { apiVersion, kind, name, ...(target === undefined ? {} : { namespace: target }) };
}

/** What it is known by, in whichever version of its group a manifest writes it. */
export function keyOf(object: KeptObject): string {
  return `${groupOf(object.apiVersion)}/${nameOf(object)}`;
}

/** `Deployment shop/web` */
function nameOf({ kind, namespace, name }: KeptObject): string {
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

/** @throws what is a bug, and everything once nobody waits any longer */
function stillWanted({ signal }: KeepContext, thrown: unknown): AgentError {
  const error = expectedError(thrown);
  if (signal.aborted) {
    throw error;
  }
  return error;
}
