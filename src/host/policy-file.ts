import { AgentError, toAgentError } from '../core/errors.ts';
import type { Exec, Files } from '../core/ports.ts';
import { kubectl } from './kubectl.ts';
import { kubectlTrouble } from './kubectl-words.ts';
import { AGENT_USER, POLICY_FILE } from './paths.ts';
import type { Step } from './steps.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

const HEADER =
  '# What the control plane may do here: pipeops-agent policy show explains each rule.\n' +
  '# After a change: sudo pipeops-agent policy apply --file /etc/pipeops-agent/policy.yaml\n';

export function presetFileText(preset: string): string {
  return `${HEADER}preset: ${preset}\n`;
}

/** The policy file of a new installation; one that is there is root's and stays. */
export function policyFile(deps: Pick<Deps, 'files'>, preset: string): Step {
  return {
    id: 'policy-file',
    title: 'Write the local policy',
    touches: [POLICY_FILE],
    isDone: async () => (await deps.files.stat(POLICY_FILE)) !== undefined,
    apply: () => writePolicyFile(deps, presetFileText(preset)),
  };
}

/** @throws AgentError KUBERNETES_API */
export async function applyPermissions(deps: Pick<Deps, 'exec'>, manifest: string): Promise<void> {
  const argv = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
  const result = await kubectl(deps, argv, manifest);
  if (result.exitCode !== 0) {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot set the permissions of the agent: ${kubectlTrouble(result.stderr).text}`,
      { hint: 'Check that Kubernetes answers: k3s kubectl get nodes' },
    );
  }
}

export interface PolicyChange {
  /** The whole new file. */
  readonly text: string;
  /** The account's permissions that belong to it. */
  readonly manifest: string;
  /** Those of the policy in force, to go back to; undefined when there is no usable one. */
  readonly previousManifest: string | undefined;
}

/**
 * Permissions first, then the file: the agent never believes that it may what Kubernetes forbids.
 * When either fails, both are as before.
 * @throws AgentError KUBERNETES_API, FILE_ACCESS, DISK_FULL
 */
export async function changePolicy(deps: Deps, change: PolicyChange): Promise<void> {
  try {
    await applyPermissions(deps, change.manifest);
    await writePolicyFile(deps, change.text);
  } catch (thrown) {
    if (change.previousManifest !== undefined) {
      await goBack(deps, change.previousManifest, toAgentError(thrown));
    }
    throw thrown;
  }
}

async function goBack(deps: Deps, manifest: string, because: AgentError): Promise<void> {
  try {
    await applyPermissions(deps, manifest);
  } catch (thrown) {
    const { message } = toAgentError(thrown);
    throw new AgentError(because.code, `${because.message}; and then: ${message}`, {
      hint: 'The policy file is as before, the permissions may not be: run the same command again',
      cause: because,
    });
  }
}

function writePolicyFile(deps: Pick<Deps, 'files'>, text: string): Promise<void> {
  return deps.files.writeAtomic(POLICY_FILE, text, { mode: 0o640, owner: `root:${AGENT_USER}` });
}
