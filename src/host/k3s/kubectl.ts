import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, ExecResult } from '../../core/ports.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { pollUntil } from '../../core/waiting.ts';
import type { Command } from '../engine/resource.ts';
import { kubectlTrouble } from './kubectl-words.ts';

const KUBECTL_TIMEOUT_MS = 30_000;
const API_PORT = 6443;
/** How long to wait for an API that restarts. */
const PATIENCE_MS = 5_000;
const RETRY_INTERVAL_MS = 500;

export function kubectlCommand(args: readonly string[]): Command {
  return [K3S_EXECUTABLE, 'kubectl', ...args];
}

/** Runs k3s' own kubectl as the cluster's administrator. Works on a server only. */
export function kubectl(
  deps: { readonly exec: Exec; readonly places: Places },
  args: readonly string[],
  stdin?: string,
): Promise<ExecResult> {
  return deps.exec.run(kubectlCommand(args), {
    timeoutMs: KUBECTL_TIMEOUT_MS,
    // By default it would leave its cache in root's home.
    env: { KUBECACHEDIR: deps.places.kubectlCacheDirectory },
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/**
 * The output of `kubectl … --output=json`. Waits a moment for an API that restarts.
 * @throws AgentError KUBERNETES_API
 */
export async function readKubernetesJson(
  deps: { readonly clock: Clock; readonly exec: Exec; readonly places: Places },
  args: readonly string[],
): Promise<unknown> {
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: PATIENCE_MS };
  const end = await pollUntil(deps.clock, pace, undefined, async () => {
    const result = await kubectl(deps, [...args, '--output=json']);
    if (result.exitCode === 0) {
      return { found: JSON.parse(result.stdout) as unknown };
    }
    const { text, passing } = kubectlTrouble(result.stderr);
    const error = new AgentError('KUBERNETES_API', `Kubernetes does not answer: ${text}`, {
      hint: 'See how it is: systemctl status k3s; start it: sudo systemctl start k3s',
    });
    if (!passing) {
      throw error;
    }
    return { soFar: error };
  });
  if (end.kind === 'found') {
    return end.found;
  }
  throw end.soFar;
}

/** Where a server's API listens. @param address IPv4 or IPv6 */
export function apiAddress(address: string): string {
  return `https://${hostAndPort(address, API_PORT)}`;
}
