import { expect, test } from 'bun:test';
import type { V1DeploymentStatus } from '@kubernetes/client-node';
import { deploymentInfo } from '../../../src/kubernetes/watch/cluster-status.ts';

test('a Deployment is ready once every replica is of its last change, and available', () => {
  const whole = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  const ready = (status: V1DeploymentStatus) => {
    const spec = { replicas: 2, selector: {}, template: {} };
    const metadata = { generation: 2 };
    return deploymentInfo({ metadata, spec, status: { ...whole, readyReplicas: 2, ...status } })
      .ready;
  };
  expect([
    ready({}),
    ready({ observedGeneration: 1 }),
    ready({ replicas: 3, updatedReplicas: 1 }),
    ready({ availableReplicas: 1 }),
  ]).toEqual([true, false, false, false]);
});
