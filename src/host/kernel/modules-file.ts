import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';
import { BRIDGE_SETTING, settingPath } from './settings.ts';

export const KERNEL_MODULES_ID = 'kernel-modules';
const PATH = '/etc/modules-load.d/pipeops-agent.conf';
/** Without the first, packets between pods of one machine pass Services by. */
const MODULES = ['br_netfilter', 'overlay'];
const TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** A file of modules-load.d(5), and what it names is loaded. Taken away, they stay until the next start. */
export function kernelModulesFile(
  deps: Deps,
  inventory: HostInventory,
  isWanted: boolean,
): Resource {
  const file = {
    id: KERNEL_MODULES_ID,
    title: 'Load the kernel modules of the network',
    path: PATH,
  };
  const text = [
    '# Made by "pipeops-agent doctor --fix". "pipeops-agent uninstall" removes it.',
    ...MODULES,
    '',
  ].join('\n');
  const making = {
    isDone: async () =>
      (await deps.files.readText(PATH)) === text &&
      (await deps.files.stat(settingPath(BRIDGE_SETTING))) !== undefined,
    text: async () => text,
    commands: async () => MODULES.map((name) => ['modprobe', name] as const),
    apply: async () => {
      for (const name of MODULES) {
        await load(deps, name);
      }
      await deps.files.makeDirectory('/etc/modules-load.d', { mode: 0o755 });
      await deps.files.writeAtomic(PATH, text, { mode: 0o644 });
    },
  };
  const own = ownFile(deps, inventory, file, isWanted ? making : undefined);
  return { ...own, undo: async (how) => (how.keepK3s ? [] : await own.undo(how)) };
}

/** @throws AgentError TOOL_FAILED, TOOL_MISSING */
async function load({ exec }: Deps, name: string): Promise<void> {
  const { exitCode, stderr } = await exec.run(['modprobe', name], { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `Cannot load the kernel module ${name}: ${stderr}`, {
      hint: 'See which check names the package that has it: sudo pipeops-agent doctor',
      details: { argv: ['modprobe', name], exit: exitCode },
    });
  }
}
