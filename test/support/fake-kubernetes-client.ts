/** The agent's own client, connected to the API in memory. */

import { type KubernetesClient, kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import type { FakeKubernetes } from './fake-kubernetes.ts';

export function clientOf(kubernetes: FakeKubernetes): KubernetesClient {
  const current = async () => ({
    server: kubernetes.url,
    ca: kubernetes.ca,
    token: kubernetes.token,
  });
  return kubernetesClient({
    clock: systemClock,
    http: systemHttp,
    credentials: { current, reload: () => undefined },
  });
}
