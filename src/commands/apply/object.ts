/** Bringing one object of a manifest to the cluster. */

import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { redactedStart } from '../../core/text/middle-cut.ts';
import { pollUntil } from '../../core/waiting.ts';
import { isConditionTrue } from '../../kubernetes/api/condition.ts';
import { collectionPath, objectPath } from '../../kubernetes/api/discovery.ts';
import { ApiRejection } from '../../kubernetes/api/rejection.ts';
import type { AppliedObject } from '../../protocol/commands/apply.ts';
import type { CommandContext } from '../engine/handler.ts';
import { secretsOfObject } from '../engine/secrets.ts';
import { contentOf } from './manifest.ts';
import { isDefinition, isSecret, type PlannedObject } from './plan.ts';

/** A new kind is served a moment after its definition is accepted. */
const DEFINITION_POLL_MS = 250;
const DEFINITION_WAIT_MS = 20_000;
const NEW_KIND_ATTEMPTS_MAX = 20;
/** Longest refusal of one object, characters: a thousand of them make one result. */
const REFUSAL_LENGTH_MAX = 1_000;

/** What is needed to bring an object. */
export type ApplyContext = Pick<CommandContext, 'clock' | 'kubernetes' | 'signal'>;

type Written = Pick<AppliedObject, 'result' | 'message'>;

/** Does not throw when Kubernetes refuses: the refusal is the result of this object. */
export async function applyObject(
  context: ApplyContext,
  object: PlannedObject,
  dryRun: boolean,
): Promise<AppliedObject> {
  const { kind, name, target } = object;
  const label = { kind, ...(target === undefined ? {} : { namespace: target }), name };
  try {
    return { ...label, ...(await write(context, object, dryRun)) };
  } catch (thrown) {
    if (!(thrown instanceof AgentError) || context.signal.aborted) {
      throw thrown;
    }
    if (dryRun && object.comesWithCommand && thrown.code === 'NOT_FOUND') {
      const message = 'not checked: a dry run does not make the namespace or kind that it needs';
      return { ...label, result: 'created', message };
    }
    return { ...label, ...failed(thrown, secretsOfObject(contentOf(object))) };
  }
}

/**
 * The report about an object that Kubernetes refused.
 * @param secrets of the object: a refusal quotes values
 */
export function failed(
  { code, message }: AgentError,
  secrets: readonly string[] = [],
): Omit<AppliedObject, 'kind' | 'name'> {
  const quoted = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
  const told = redactedStart(message, REFUSAL_LENGTH_MAX, [...secrets, ...quoted]);
  return { result: 'failed', code, message: told };
}

async function write(
  context: ApplyContext,
  object: PlannedObject,
  dryRun: boolean,
): Promise<Written> {
  const { kubernetes, signal } = context;
  const { resource, target, name } = object;
  if (resource === undefined) {
    const kind = `${object.kind} in ${object.apiVersion}`;
    throw new AgentError('NOT_FOUND', `This cluster has no kind ${kind}`, {
      hint: 'Apply its CustomResourceDefinition first, or correct apiVersion and kind: kubectl api-resources',
    });
  }
  const path = objectPath(resource, target, name);
  const manifest = inNamespace(object);
  if (isSecret(object)) {
    const collection = collectionPath(resource, target);
    return await writeSecret(context, { path, collection, manifest, dryRun });
  }
  const before = await kubernetes.find(path, signal);
  const after = await withNewKind(context, object, dryRun, () =>
    kubernetes.apply<KubernetesObject>(path, manifest, signal, { dryRun }),
  );
  if (isDefinition(object) && !dryRun) {
    await waitUntilServed(context, path);
  }
  if (before === undefined) {
    return { result: 'created' };
  }
  // A dry run keeps the version when nothing would change, too.
  const same = before.metadata?.resourceVersion === after.metadata?.resourceVersion;
  return { result: same ? 'unchanged' : 'configured' };
}

function inNamespace(object: PlannedObject): Readonly<Record<string, unknown>> {
  const { target, annotations } = object;
  const content = contentOf(object);
  const given = content['metadata'];
  if (typeof given !== 'object' || given === null) {
    return content;
  }
  const metadata: { readonly annotations?: object } = given;
  return {
    ...content,
    metadata: {
      ...metadata,
      ...(target === undefined ? {} : { namespace: target }),
      ...(annotations && { annotations: { ...metadata.annotations, ...annotations } }),
    },
  };
}

/** Never reads: whatever is there is overwritten. */
async function writeSecret(
  { kubernetes, signal }: ApplyContext,
  secret: {
    readonly path: string;
    readonly collection: string;
    readonly manifest: Readonly<Record<string, unknown>>;
    readonly dryRun: boolean;
  },
): Promise<Written> {
  const { path, collection, manifest, dryRun } = secret;
  try {
    await kubernetes.create<KubernetesObject>(collection, manifest, signal, { dryRun });
    return { result: 'created' };
  } catch (thrown) {
    if (!(thrown instanceof ApiRejection && thrown.reason === 'AlreadyExists')) {
      throw thrown;
    }
  }
  await kubernetes.replace<KubernetesObject>(path, manifest, signal, { dryRun });
  return { result: 'configured' };
}

/** Tries again while a kind that came with this manifest is not served yet. */
async function withNewKind<T>(
  { clock, signal }: ApplyContext,
  object: PlannedObject,
  dryRun: boolean,
  apply: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await apply();
    } catch (thrown) {
      const mayCome =
        thrown instanceof AgentError && thrown.code === 'NOT_FOUND' && object.comesWithCommand;
      if (!mayCome || dryRun || attempt >= NEW_KIND_ATTEMPTS_MAX) {
        throw thrown;
      }
      await clock.sleep(DEFINITION_POLL_MS, signal);
    }
  }
}

async function waitUntilServed(
  { clock, kubernetes, signal }: ApplyContext,
  path: string,
): Promise<void> {
  const pace = { everyMs: DEFINITION_POLL_MS, limitMs: DEFINITION_WAIT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    const definition = await kubernetes.get<KubernetesObject & Conditioned>(path, signal);
    const isServed = isConditionTrue(definition.status?.conditions, 'Established');
    return isServed ? { found: true } : { soFar: false };
  });
  switch (end.kind) {
    case 'found':
      return;
    case 'late':
      throw new AgentError('TIMEOUT', 'Kubernetes took the definition, but does not serve it yet', {
        hint: 'See its conditions: kubectl describe customresourcedefinition',
      });
    case 'aborted':
      throw new AgentError('INTERRUPTED', 'Interrupted while Kubernetes takes up the definition', {
        hint: 'See its conditions: kubectl describe customresourcedefinition',
      });
  }
}

interface Conditioned {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
