import type { V1Deployment } from '@kubernetes/client-node';
import { KINDS, typeOf } from '../../core/kinds.ts';
import type { KubernetesClient, Manifest } from '../api/client.ts';
import { appliedFields } from './applied-fields.ts';
import { deploymentPath } from './rollout.ts';

/** What the agent has applied of a Deployment. */
export interface AppliedDeployment extends Manifest {
  readonly metadata: Manifest;
  readonly spec: Manifest;
}

export function appliedDeployment(deployment: V1Deployment): AppliedDeployment {
  const applied = appliedFields({ ...typeOf(KINDS.deployment), ...deployment });
  return {
    ...applied,
    metadata: manifestIn(applied, 'metadata'),
    spec: manifestIn(applied, 'spec'),
  };
}

/**
 * Changes what the agent applies of a Deployment that is there; what others own stays. The UID
 * makes sure that a Deployment that was deleted meanwhile is not made anew.
 */
export async function changeDeployment(
  client: KubernetesClient,
  deployment: V1Deployment,
  change: (applied: AppliedDeployment) => AppliedDeployment,
  signal: AbortSignal,
): Promise<V1Deployment> {
  const { name = '', namespace = '', uid } = deployment.metadata ?? {};
  const changed = change(appliedDeployment(deployment));
  const manifest = { ...changed, metadata: { ...changed.metadata, uid } };
  return await client.apply<V1Deployment>(deploymentPath({ namespace, name }), manifest, signal);
}

/** A map inside a manifest; empty when there is none. */
export function manifestIn(parent: Manifest, field: string): Manifest {
  const value = parent[field];
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
