/** Leases in `pipeops-system` by which one of several servers is chosen. Root makes them, empty. */
import type { V1Lease, V1LeaseSpec } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { AGENT_NAMESPACE } from '../account/rbac.ts';
import type { KubernetesClient } from '../api/client.ts';

/** On the wire its times are text; client-node's types say Date. */
interface WireLease extends Omit<V1Lease, 'spec'> {
  readonly spec?: Omit<V1LeaseSpec, 'acquireTime' | 'renewTime'> & {
    readonly acquireTime?: string;
    readonly renewTime?: string;
  };
}

/** One start of the agent on one node: a node's name has no underscore. */
export interface Candidate {
  readonly node: string;
  readonly startId: string;
}

export interface LeaseRecord {
  readonly name: string;
  readonly holder: Candidate | undefined;
  /** After this time without a change it is free; undefined: it does not end by time. */
  readonly durationMs: number | undefined;
  /** Another version is another state of it. */
  readonly version: string;
  /** As the API gave it. */
  readonly object: WireLease;
}

type Client = Pick<KubernetesClient, 'find' | 'replace'>;

/** @throws AgentError NOT_FOUND, KUBERNETES_API, TIMEOUT */
export async function readLease(
  client: Client,
  name: string,
  signal: AbortSignal,
): Promise<LeaseRecord> {
  const object = await client.find<WireLease>(pathOf(name), signal);
  if (object === undefined) {
    throw new AgentError('NOT_FOUND', `There is no Lease ${AGENT_NAMESPACE}/${name}`, {
      hint: 'Make it again, on any server: sudo pipeops-agent install',
    });
  }
  return recordOf(name, object);
}

/**
 * Writes over just the version that is given.
 * @throws ApiRejection with 409 where somebody else was faster
 */
export async function writeLease(
  client: Client,
  before: LeaseRecord,
  { holder, durationMs }: Pick<LeaseRecord, 'holder' | 'durationMs'>,
  now: Date,
  signal: AbortSignal,
): Promise<LeaseRecord> {
  const { spec = {}, metadata } = before.object;
  const isNews = !isSame(before.holder, holder);
  // RFC 3339 with microseconds, as the API wants it.
  const time = now.toISOString().replace('Z', '000Z');
  const object: WireLease = {
    ...before.object,
    metadata: { ...metadata, resourceVersion: before.version },
    spec: {
      holderIdentity: holder === undefined ? '' : `${holder.node}_${holder.startId}`,
      ...(durationMs === undefined ? {} : { leaseDurationSeconds: durationMs / 1_000 }),
      renewTime: time,
      acquireTime: isNews ? time : (spec.acquireTime ?? time),
      leaseTransitions: (spec.leaseTransitions ?? 0) + (isNews && holder !== undefined ? 1 : 0),
    },
  };
  return recordOf(
    before.name,
    await client.replace<WireLease>(pathOf(before.name), object, signal),
  );
}

export function isSame(a: Candidate | undefined, b: Candidate | undefined): boolean {
  return a?.node === b?.node && a?.startId === b?.startId;
}

function pathOf(name: string): string {
  return pathOfObject(KINDS.lease, { namespace: AGENT_NAMESPACE, name });
}

function recordOf(name: string, object: WireLease): LeaseRecord {
  const { holderIdentity = '', leaseDurationSeconds } = object.spec ?? {};
  const [node = '', startId = ''] = holderIdentity.split('_');
  return {
    name,
    holder: node === '' ? undefined : { node, startId },
    durationMs: leaseDurationSeconds === undefined ? undefined : leaseDurationSeconds * 1_000,
    version: object.metadata?.resourceVersion ?? '',
    object,
  };
}
