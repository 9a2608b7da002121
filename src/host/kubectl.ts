import type { Exec, ExecResult } from '../core/ports.ts';
import { HOST_STATE_DIRECTORY, K3S_EXECUTABLE } from './paths.ts';

const KUBECTL_TIMEOUT_MS = 30_000;

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
