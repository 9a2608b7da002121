import { basename, dirname } from 'node:path';
import { AgentError, toAgentError } from '../../core/errors.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { PolicyFile } from '../../protocol/files/policy.ts';
import { POLICY_PRESETS } from '../../protocol/files/policy-presets.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';
import { kubectl } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';

/** Backups of policies that somebody wrote and that were replaced. The oldest are removed. */
const BACKUPS_MAX = 5;
/** Of a further server: a policy that a person wrote on another one. */
const SHARED_HEADER =
  '# The policy of this cluster, as it was when this server joined. docs/POLICY.md explains each key.\n';
/** The manifest comes in on standard input. */
export const APPLY_PERMISSIONS = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
const ACCESS = { mode: 0o640, owner: `root:${AGENT_USER}` };

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export function presetFileText({ policyFile: path }: Places, preset: string): string {
  return (
    '# What the control plane may do here: pipeops-agent policy show explains each rule.\n' +
    `# After a change: sudo pipeops-agent policy apply --file ${path}\n` +
    `preset: ${preset}\n`
  );
}

/** The text of a policy: of a preset alone as above, else with each of its keys. */
function policyText(places: Places, policy: PolicyFile): string {
  const isPreset = Bun.deepEquals(policy, PolicyFile.parse({ preset: policy.preset }));
  return isPreset
    ? presetFileText(places, policy.preset)
    : `${SHARED_HEADER}${Bun.YAML.stringify(policy, null, 2).trimEnd()}\n`;
}

function isPresetText(places: Places, text: string): boolean {
  return POLICY_PRESETS.some((preset) => presetFileText(places, preset) === text);
}

/** The policy file of a new installation. If there is one already, it is root's and stays. */
export function policyFile(
  deps: Pick<Deps, 'files' | 'places'>,
  inventory: HostInventory,
  policy: PolicyFile | undefined,
): Resource {
  const title = 'Write the local policy';
  const looksOurs = (text: string) =>
    isPresetText(deps.places, text) || text.startsWith(SHARED_HEADER);
  const file = { id: 'policy-file', title, path: deps.places.policyFile, looksOurs };
  if (policy === undefined) {
    return ownFile(deps, inventory, file, undefined);
  }
  return ownFile(deps, inventory, file, {
    isDone: async () => (await deps.files.stat(deps.places.policyFile)) !== undefined,
    text: async () => policyText(deps.places, policy),
    apply: () => writeOwn(deps, deps.places.policyFile, policyText(deps.places, policy), ACCESS),
  });
}

/** @throws AgentError KUBERNETES_API */
export async function applyPermissions(
  deps: Pick<Deps, 'exec' | 'places'>,
  manifest: string,
): Promise<void> {
  const result = await kubectl(deps, APPLY_PERMISSIONS, manifest);
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
  /** The permissions of the policy in force, to go back to; undefined when there is no usable policy. */
  readonly previousManifest: string | undefined;
}

/**
 * Changes the permissions first, then the file, so that the agent never expects to be allowed something
 * that Kubernetes forbids. If either fails, both are as before.
 * @returns the backup of the replaced file, if a person wrote that file
 * @throws AgentError KUBERNETES_API, FILE_ACCESS, DISK_FULL
 */
export async function changePolicy(deps: Deps, change: PolicyChange): Promise<string | undefined> {
  const backup = await keepHandWritten(deps, change.text);
  try {
    await applyPermissions(deps, change.manifest);
    await deps.files.writeAtomic(deps.places.policyFile, change.text, ACCESS);
    return backup;
  } catch (thrown) {
    if (change.previousManifest !== undefined) {
      await goBack(deps, change.previousManifest, toAgentError(thrown));
    }
    throw thrown;
  }
}

/** Backs the file up, unless the agent wrote it: that text can be made again from its preset. */
async function keepHandWritten(
  { clock, files, places }: Deps,
  next: string,
): Promise<string | undefined> {
  const text = await files.readText(places.policyFile);
  if (text === undefined || text === next || isPresetText(places, text)) {
    return undefined;
  }
  const directory = dirname(places.policyFile);
  const prefix = `${basename(places.policyFile)}.before-`;
  // In the order of their names the backups are in the order of time.
  const time = clock.now().toISOString().replaceAll(/[:.]/g, '-');
  const path = `${directory}/${prefix}${time}`;
  await files.writeAtomic(path, text, ACCESS);
  const kept = (await files.list(directory)).filter((name) => name.startsWith(prefix));
  for (const name of kept.toSorted().slice(0, -BACKUPS_MAX)) {
    await files.remove(`${directory}/${name}`);
  }
  return path;
}

async function goBack(
  deps: Pick<Deps, 'exec' | 'places'>,
  manifest: string,
  because: AgentError,
): Promise<void> {
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
