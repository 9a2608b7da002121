/** The agent's own client, connected to the API in memory. */
import { type KubernetesClient, kubernetesClient } from '../../src/kubernetes/api/client.ts';
import type { KubernetesCredentials } from '../../src/kubernetes/api/credentials.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import type { FakeKubernetes } from './fake-kubernetes.ts';

export function credentialsOf(kubernetes: FakeKubernetes): KubernetesCredentials {
  const current = async () => ({
    server: kubernetes.url,
    ca: kubernetes.ca,
    token: kubernetes.token,
  });
  return { current, reload: () => undefined };
}

export function clientOf(kubernetes: FakeKubernetes): KubernetesClient {
  return kubernetesClient({
    clock: systemClock,
    http: systemHttp,
    credentials: credentialsOf(kubernetes),
  });
}
