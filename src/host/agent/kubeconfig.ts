import { AgentError } from '../../core/errors.ts';
import {
  AGENT_USER,
  K3S_EXECUTABLE,
  K3S_SERVER_CA_FILE,
  KUBECONFIG_FILE,
} from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { parseKubeconfig, renderKubeconfig, tokenTimes } from '../../protocol/files/kubeconfig.ts';
import type { Step } from '../engine/steps.ts';
import { kubectl } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';
import { applyPermissions } from './policy-file.ts';

/** Bits of a mode that let others than the owner in. */
const OTHERS_BITS = 0o077;
/** The API server of this very machine. */
const SERVER_URL = 'https://127.0.0.1:6443';

export interface KubernetesAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly tokenLifeSeconds: number;
}

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * The agent's own account in Kubernetes, with just the permissions that it needs.
 * @param manifest namespace, ServiceAccount and permissions: what `kubectl apply -f -` takes
 */
export function agentPermissions(deps: Deps, account: KubernetesAccount, manifest: string): Step {
  return {
    id: 'agent-permissions',
    title: 'Give the agent its own account in Kubernetes',
    touches: [`namespace ${account.namespace}`, `clusterrole ${account.serviceAccount}`],
    isDone: async () => {
      if ((await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
        return false;
      }
      const argv = ['diff', '--server-side', '--force-conflicts', '-f', '-'];
      return (await kubectl(deps, argv, manifest)).exitCode === 0;
    },
    apply: () => applyPermissions(deps, manifest),
  };
}

/** The kubeconfig of that account, with a token that is minted anew at half its life. */
export function agentKubeconfig(deps: Deps, account: KubernetesAccount): Step {
  return {
    id: 'agent-kubeconfig',
    title: "Write the agent's kubeconfig",
    touches: [KUBECONFIG_FILE],
    isDone: () => isKubeconfigFresh(deps),
    apply: () => writeKubeconfig(deps, account),
  };
}

/**
 * The token has more than half its life before it, nobody else can read it, and the cluster is still
 * the same one.
 */
export async function isKubeconfigFresh(deps: Deps): Promise<boolean> {
  const text = await deps.files.readText(KUBECONFIG_FILE);
  const kubeconfig = text === undefined ? undefined : parseKubeconfig(text);
  const times = kubeconfig === undefined ? undefined : tokenTimes(kubeconfig.token);
  const mode = (await deps.files.stat(KUBECONFIG_FILE))?.mode ?? OTHERS_BITS;
  if (kubeconfig === undefined || times === undefined || (mode & OTHERS_BITS) !== 0) {
    return false;
  }
  const halfAt = (times.issuedAt + times.expiresAt) / 2;
  const sameCluster = kubeconfig.ca === (await deps.files.readText(K3S_SERVER_CA_FILE));
  return sameCluster && deps.clock.now().getTime() / 1_000 < halfAt;
}

/** @throws AgentError KUBERNETES_API, NOT_A_SERVER */
export async function writeKubeconfig(deps: Deps, account: KubernetesAccount): Promise<void> {
  const ca = await deps.files.readText(K3S_SERVER_CA_FILE);
  if (ca === undefined) {
    throw new AgentError('NOT_A_SERVER', 'This machine is not a server of the cluster', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  const result = await kubectl(deps, [
    'create',
    'token',
    account.serviceAccount,
    `--namespace=${account.namespace}`,
    `--duration=${account.tokenLifeSeconds}s`,
  ]);
  const token = result.stdout.trim();
  if (result.exitCode !== 0 || token === '') {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot mint a token: ${kubectlTrouble(result.stderr).text}`,
      {
        hint: 'Check that Kubernetes answers: k3s kubectl get nodes',
      },
    );
  }
  await deps.files.writeAtomic(
    KUBECONFIG_FILE,
    renderKubeconfig('pipeops-agent', { server: SERVER_URL, ca, token }),
    // Not for the group: people in it use the agent within its policy, and this passes it by.
    { mode: 0o400, owner: `${AGENT_USER}:root` },
  );
}
