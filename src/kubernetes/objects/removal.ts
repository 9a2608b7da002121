import type { KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import type { KubernetesClient } from '../api/client.ts';

/** How often an object that is being deleted is looked for. */
const GONE_POLL_MS = 500;

interface RemovalDeps {
  readonly clock: Clock;
  readonly client: KubernetesClient;
}

/** Deletes just the object with this UID and waits until it is gone, with all that it owns. */
export async function removeAndWait(
  deps: RemovalDeps,
  path: string,
  uid: string,
  signal: AbortSignal,
): Promise<void> {
  if (await deps.client.remove(path, uid, signal)) {
    await poll(deps, path, (object) => object.metadata?.uid === uid, signal);
  }
}

/**
 * Waits while the object at a path is being deleted; returns at once when it is not.
 * @returns the object that is there and stays
 */
export async function waitUntilGone(
  deps: RemovalDeps,
  path: string,
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  return await poll(
    deps,
    path,
    ({ metadata }) => metadata?.deletionTimestamp !== undefined,
    signal,
  );
}

/** The caller's signal is the limit. @throws AgentError INTERRUPTED at it */
async function poll(
  deps: RemovalDeps,
  path: string,
  isWaitedFor: (object: KubernetesObject) => boolean,
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  const pace = { everyMs: GONE_POLL_MS, limitMs: Number.POSITIVE_INFINITY };
  const end = await pollUntil(deps.clock, pace, signal, async () => {
    const object = await deps.client.find(path, signal);
    return object === undefined || !isWaitedFor(object) ? { found: object } : { soFar: path };
  });
  if (end.kind === 'found') {
    return end.found;
  }
  throw new AgentError('INTERRUPTED', `The wait until ${path} is gone was interrupted`);
}
