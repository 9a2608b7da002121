/** The Lease `pipeops-system/pipeops-agent`: which server has the session. Root makes it, empty. */
import type { V1Lease, V1LeaseSpec } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { AGENT_NAMESPACE, SESSION_LEASE } from '../account/rbac.ts';
import type { KubernetesClient } from '../api/client.ts';

const PATH = pathOfObject(KINDS.lease, { namespace: AGENT_NAMESPACE, name: SESSION_LEASE });

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
export async function readLease(client: Client, signal: AbortSignal): Promise<LeaseRecord> {
  const object = await client.find<WireLease>(PATH, signal);
  if (object === undefined) {
    throw new AgentError('NOT_FOUND', `There is no Lease ${AGENT_NAMESPACE}/${SESSION_LEASE}`, {
      hint: 'Make it again, on any server: sudo pipeops-agent install',
    });
  }
  return recordOf(object);
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
  return recordOf(await client.replace<WireLease>(PATH, object, signal));
}

export function isSame(a: Candidate | undefined, b: Candidate | undefined): boolean {
  return a?.node === b?.node && a?.startId === b?.startId;
}

function recordOf(object: WireLease): LeaseRecord {
  const { holderIdentity = '', leaseDurationSeconds } = object.spec ?? {};
  const [node = '', startId = ''] = holderIdentity.split('_');
  return {
    holder: node === '' ? undefined : { node, startId },
    durationMs: leaseDurationSeconds === undefined ? undefined : leaseDurationSeconds * 1_000,
    version: object.metadata?.resourceVersion ?? '',
    object,
  };
}
