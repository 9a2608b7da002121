import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE, K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { MEMORY_LABEL } from '../../core/labels.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { parseKubeconfig, renderKubeconfig, tokenTimes } from '../../protocol/files/kubeconfig.ts';
import { ADOPTED, readAdoption } from '../cluster/adopted-k3s.ts';
import { hasOtherAgents } from '../cluster/other-agents.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { renewOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import {
  type Command,
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
} from '../engine/resource.ts';
import { readK3sConfig } from '../k3s/config.ts';
import { kubectl, kubectlCommand } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';
import { APPLY_PERMISSIONS, applyPermissions } from './policy-file.ts';

/** The bits of a mode that admit others than the owner. */
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
  readonly places: Places;
}

/** What `kubectl apply -f -` takes: namespace, ServiceAccount and permissions. */
export interface AccountManifests {
  /** What is wanted; undefined where the machine speaks for no cluster. */
  readonly wanted: string | undefined;
  /** Objects of the same names, for removing them. Their permissions do not matter. */
  readonly names: string;
  /** Those without the namespace, which stays where it was there before us. */
  readonly namesInside: string;
}

/**
 * The agent's own account in Kubernetes, with only the permissions that it needs. Usually it is removed
 * with the cluster. By itself it is removed only where the cluster stays, and no other server's agent needs it.
 */
export function agentPermissions(
  deps: Deps,
  inventory: HostInventory,
  account: KubernetesAccount,
  { wanted, names, namesInside }: AccountManifests,
): Resource {
  const touches = [`namespace ${account.namespace}`, `clusterrole ${account.serviceAccount}`];
  return {
    id: 'agent-permissions',
    title: 'Give the agent its own account in Kubernetes',
    touches,
    entries: [],
    ...(wanted === undefined ? LEFT_AS_IT_IS : permissionsMaking(deps, touches, wanted)),
    undo: async ({ keepK3s }) => {
      const hasK3s = (await deps.files.stat(K3S_EXECUTABLE)) !== undefined;
      const adoption = await readAdoption(deps);
      const isAdopted = inventory.has(ADOPTED.kind, ADOPTED.name);
      if (!hasK3s || !(isAdopted || (keepK3s && inventory.has('k3s', 'server')))) {
        return [];
      }
      if ((await hasOtherAgents(deps, { isAdopted })) ?? (await hasJoinedServer(deps))) {
        return [];
      }
      return adoption?.namespace_was_there === true
        ? [
            memoryRemoval(deps, account.namespace),
            accountRemoval(deps, touches.slice(1), namesInside),
          ]
        : [accountRemoval(deps, touches, names)];
    },
  };
}

/** Whether there were other servers once. */
async function hasJoinedServer(deps: Deps): Promise<boolean> {
  return (await readK3sConfig(deps))?.['server'] !== undefined;
}

function permissionsMaking(deps: Deps, touches: readonly string[], manifest: string): Making {
  const isDone = async () => {
    if ((await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
      return false;
    }
    const argv = ['diff', '--server-side', '--force-conflicts', '-f', '-'];
    return (await kubectl(deps, argv, manifest)).exitCode === 0;
  };
  return {
    isWanted: true,
    isDone,
    commands: async () => [kubectlCommand(APPLY_PERMISSIONS)],
    apply: () => applyPermissions(deps, manifest),
    changes: async () => {
      const action = (await isDone()) ? 'keep' : 'change';
      return touches.map((target) => ({ action, target }));
    },
  };
}

function accountRemoval(deps: Deps, touches: readonly string[], manifest: string): Removal {
  return {
    title: "Remove the agent's account in Kubernetes",
    changes: touches.map((target) => ({ action: 'remove', target })),
    commands: [deleting(['-f', '-'])],
    entries: [],
    run: () => remove(deps, 'the account', ['-f', '-'], manifest),
  };
}

/** What several servers remember of commands; it would go with the namespace. */
function memoryRemoval(deps: Deps, namespace: string): Removal {
  const which = ['secrets', '-n', namespace, '-l', MEMORY_LABEL];
  return {
    title: 'Remove what the servers remember of commands',
    changes: [{ action: 'remove', target: `secrets ${MEMORY_LABEL} in ${namespace}` }],
    commands: [deleting(which)],
    entries: [],
    run: () => remove(deps, 'the memory of commands', which),
  };
}

function deleting(which: readonly string[]): Command {
  return kubectlCommand(['delete', '--ignore-not-found', ...which]);
}

async function remove(
  deps: Deps,
  what: string,
  which: readonly string[],
  manifest?: string,
): Promise<void> {
  const argv = ['delete', '--ignore-not-found', ...which];
  const { exitCode, stderr } = await kubectl(deps, argv, manifest);
  if (exitCode !== 0) {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot remove ${what}: ${kubectlTrouble(stderr).text}`,
      {
        hint: 'Check that k3s runs, then run the same command again: systemctl status k3s',
      },
    );
  }
}

/**
 * The kubeconfig of that account, with a token that is minted anew at half its life.
 * @param isWanted false where the machine speaks for no cluster
 */
export function agentKubeconfig(
  deps: Deps,
  inventory: HostInventory,
  account: KubernetesAccount,
  isWanted: boolean,
): Resource {
  const title = "Write the agent's kubeconfig";
  const making = {
    isDone: () => isKubeconfigFresh(deps),
    commands: async () => [kubectlCommand(mintingToken(account))],
    apply: () => writeKubeconfig(deps, account),
  };
  const file = { id: 'agent-kubeconfig', title, path: deps.places.kubeconfigFile, looksOurs };
  return ownFile(deps, inventory, file, isWanted ? making : undefined);
}

/** A kubeconfig with a token of a service account, whichever token and authority it is. */
function looksOurs(text: string): boolean {
  const found = parseKubeconfig(text);
  return found !== undefined && tokenTimes(found.token) !== undefined;
}

/**
 * Whether the token is not yet past half its life, nobody else can read it, and the cluster is still the
 * same.
 */
export async function isKubeconfigFresh(deps: Deps): Promise<boolean> {
  const text = await deps.files.readText(deps.places.kubeconfigFile);
  const kubeconfig = text === undefined ? undefined : parseKubeconfig(text);
  const times = kubeconfig === undefined ? undefined : tokenTimes(kubeconfig.token);
  const mode = (await deps.files.stat(deps.places.kubeconfigFile))?.mode ?? OTHERS_BITS;
  if (kubeconfig === undefined || times === undefined || (mode & OTHERS_BITS) !== 0) {
    return false;
  }
  const halfAt = (times.issuedAt + times.expiresAt) / 2;
  const sameCluster = kubeconfig.ca === (await deps.files.readText(K3S_SERVER_CA_FILE));
  return sameCluster && deps.clock.now().getTime() / 1_000 < halfAt;
}

function mintingToken(account: KubernetesAccount): readonly string[] {
  const { serviceAccount, namespace, tokenLifeSeconds } = account;
  const where = [`--namespace=${namespace}`, `--duration=${tokenLifeSeconds}s`];
  return ['create', 'token', serviceAccount, ...where];
}

/** @throws AgentError KUBERNETES_API, NOT_A_SERVER */
export async function writeKubeconfig(deps: Deps, account: KubernetesAccount): Promise<void> {
  const ca = await deps.files.readText(K3S_SERVER_CA_FILE);
  if (ca === undefined) {
    throw new AgentError('NOT_A_SERVER', 'This machine is not a server of the cluster', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  const result = await kubectl(deps, mintingToken(account));
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
  await renewOwn(
    deps,
    deps.places.kubeconfigFile,
    renderKubeconfig('pipeops-agent', { server: SERVER_URL, ca, token }),
    // Not for the group: its people use the agent within the policy, and this file would bypass that.
    { mode: 0o400, owner: `${AGENT_USER}:root` },
  );
}
