import type { V1Deployment } from '@kubernetes/client-node';
import { currentRevision, type DeploymentView, isRolledOut } from './view.ts';

export interface RolloutState {
  /** 0 while the controller has not numbered what shall run. */
  readonly revision: number;
  readonly wanted: number;
  /** Available pods of what should run; older pods do not count. */
  readonly ready: number;
  readonly complete: boolean;
  /** Kubernetes itself has given up (ProgressDeadlineExceeded). */
  readonly failed: boolean;
}

/** @param givenUpBefore when Kubernetes had given up an earlier change: that is no news */
export function rolloutState(view: DeploymentView, givenUpBefore: string): RolloutState {
  const { deployment, current, observed } = view;
  const wanted = deployment.spec?.replicas ?? 1;
  const givenUp = givenUpAt(deployment);
  return {
    revision: currentRevision(view),
    wanted,
    ready: Math.min(wanted, current?.status?.availableReplicas ?? 0),
    complete: current !== undefined && isRolledOut(deployment),
    failed: observed && givenUp !== '' && givenUp !== givenUpBefore,
  };
}

/**
 * When Kubernetes has given it up; '' when it has not. A change that starts no rollout leaves the
 * old value there.
 */
export function givenUpAt({ status }: V1Deployment): string {
  const condition = status?.conditions?.find(({ reason }) => reason === 'ProgressDeadlineExceeded');
  // On the wire it is text; client-node's type says Date.
  return condition === undefined ? '' : String(condition.lastUpdateTime ?? 'once');
}
