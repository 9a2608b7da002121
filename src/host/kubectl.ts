import { AgentError } from '../core/errors.ts';
import type { Exec, ExecResult } from '../core/ports.ts';
import { HOST_STATE_DIRECTORY, K3S_EXECUTABLE } from './paths.ts';

const KUBECTL_TIMEOUT_MS = 30_000;
const API_PORT = 6443;

/** Runs k3s' own kubectl as the cluster's administrator. Works on a server only. */
export function kubectl(
  deps: { readonly exec: Exec },
  args: readonly string[],
  stdin?: string,
): Promise<ExecResult> {
  return deps.exec.run([K3S_EXECUTABLE, 'kubectl', ...args], {
    timeoutMs: KUBECTL_TIMEOUT_MS,
    // Otherwise its cache would stay behind in root's home.
    env: { KUBECACHEDIR: `${HOST_STATE_DIRECTORY}/kubectl-cache` },
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/** The list that `kubectl get … -o json` prints. @throws AgentError KUBERNETES_API */
export async function readKubernetesJson(
  deps: { readonly exec: Exec },
  args: readonly string[],
): Promise<unknown> {
  const result = await kubectl(deps, [...args, '--output=json']);
  if (result.exitCode !== 0) {
    throw new AgentError('KUBERNETES_API', `Kubernetes does not answer: ${result.stderr}`, {
      hint: 'Check that k3s runs: systemctl status k3s',
    });
  }
  return JSON.parse(result.stdout);
}

/** Where a server's API listens. @param address IPv4 or IPv6 */
export function apiAddress(address: string): string {
  return `https://${address.includes(':') ? `[${address}]` : address}:${API_PORT}`;
}
