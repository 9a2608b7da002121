import type { V1Node } from '@kubernetes/client-node';
import type { VersionedNode } from '../../core/k3s-version.ts';
import { CONTROL_PLANE_LABEL } from '../../core/labels.ts';
import { isConditionTrue } from '../api/condition.ts';

/** A Node as far as the version of its k3s matters: that of its kubelet. */
export function versionedNode({ metadata, status }: V1Node): VersionedNode {
  return {
    name: metadata?.name ?? '',
    isServer: metadata?.labels?.[CONTROL_PLANE_LABEL] !== undefined,
    version: status?.nodeInfo?.kubeletVersion ?? '',
  };
}

/** Whether new pods may come to it now. */
export function takesPods({ spec, status }: V1Node): boolean {
  return spec?.unschedulable !== true && isConditionTrue(status?.conditions, 'Ready');
}
