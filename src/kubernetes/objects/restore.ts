/**
 * An object as it was, and the way back to it. The object itself is written back, never deleted and
 * made anew: its UID, its cluster IP and its node ports are what others know it by.
 */
import type { KubernetesObject } from '@kubernetes/client-node';
import { DEPLOYMENT_PREFIX } from '../../core/labels.ts';
import type { EarlierObject } from '../../protocol/commands/deploy.ts';
import type { KubernetesClient } from '../api/client.ts';
import { sameContent } from '../deployments/replica-sets.ts';

interface WithSpec extends KubernetesObject {
  readonly spec?: object;
}

export function earlierObject({ apiVersion, kind, metadata, spec }: WithSpec): EarlierObject {
  return {
    apiVersion: apiVersion ?? '',
    kind: kind ?? '',
    name: metadata?.name ?? '',
    namespace: metadata?.namespace ?? '',
    uid: metadata?.uid ?? '',
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    spec: { ...spec },
    managedFields: (metadata?.managedFields ?? []).map((entry) => ({ ...entry })),
  };
}

/** Whether an object is as it was noted, in everything that `restoreObject` writes. */
export function isAsEarlier(live: WithSpec, earlier: EarlierObject): boolean {
  const now = earlierObject(live);
  return (
    sameContent(now.spec, earlier.spec) &&
    Bun.deepEquals(now.labels, earlier.labels) &&
    Bun.deepEquals(usersOwn(now.annotations), usersOwn(earlier.annotations))
  );
}

/** Whether nothing of it has changed at all, not even who owns its fields. */
export function isUntouched(live: WithSpec, earlier: EarlierObject): boolean {
  const owners = (entries: EarlierObject['managedFields']) =>
    entries.filter((entry) => !isOfStatus(entry));
  return (
    live.metadata?.uid === earlier.uid &&
    isAsEarlier(live, earlier) &&
    Bun.deepEquals(owners(earlierObject(live).managedFields), owners(earlier.managedFields))
  );
}

function isOfStatus(entry: { readonly subresource?: unknown }): boolean {
  return entry.subresource === 'status';
}

/** Safe to run again. One that was deleted meanwhile is made anew, as it was. */
export async function restoreObject(
  client: KubernetesClient,
  path: string,
  earlier: EarlierObject,
  signal: AbortSignal,
): Promise<void> {
  const live = await client.find<WithSpec>(path, signal);
  const written = await write(client, path, live, earlier, signal);
  const managedFields = [
    ...earlier.managedFields.filter((entry) => !isOfStatus(entry)),
    ...(written.metadata?.managedFields ?? []).filter(isOfStatus),
  ];
  await client.patch(path, { metadata: { managedFields } }, signal);
}

async function write(
  client: KubernetesClient,
  path: string,
  live: WithSpec | undefined,
  earlier: EarlierObject,
  signal: AbortSignal,
): Promise<KubernetesObject> {
  const { apiVersion, kind, name, namespace, labels, spec } = earlier;
  const annotations = usersOwn(earlier.annotations);
  if (live === undefined) {
    const metadata = { name, namespace, labels, annotations };
    return await client.apply(path, { apiVersion, kind, metadata, spec }, signal);
  }
  const { uid, annotations: now = {}, finalizers, ownerReferences } = live.metadata ?? {};
  const own = Object.entries(now).filter(([key]) => key.startsWith(DEPLOYMENT_PREFIX));
  // No resource version: controllers write the status all the time, and it stays theirs.
  const metadata = {
    name,
    namespace,
    uid,
    labels,
    finalizers,
    ownerReferences,
    annotations: { ...annotations, ...Object.fromEntries(own) },
  };
  return await client.replace(path, { apiVersion, kind, metadata, spec }, signal);
}

function usersOwn(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const all = Object.entries(annotations);
  return Object.fromEntries(all.filter(([key]) => !key.startsWith(DEPLOYMENT_PREFIX)));
}
