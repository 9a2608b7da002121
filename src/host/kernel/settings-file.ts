import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { ownFile } from '../engine/removals.ts';
import type { Command, Resource } from '../engine/resource.ts';
import {
  type KernelSetting,
  type KernelSettingGroup,
  readSetting,
  settingPath,
} from './settings.ts';

const TIMEOUT_MS = 30_000;
/** A line of the file: how a value was before us, for who takes it back. */
const BEFORE = /^# before: (\S+) = (\d+)$/gm;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * A file of /etc/sysctl.d and the values in it. Taken away, the values are as they were, unless somebody
 * has changed them since.
 */
export function kernelSettingsFile(
  deps: Deps,
  inventory: HostInventory,
  group: KernelSettingGroup,
  isWanted: boolean,
): Resource {
  const { id, title, path, settings } = group;
  const isDone = async () =>
    (await deps.files.readText(path)) !== undefined && (await lowOf(deps, settings)).length === 0;
  const making = {
    isDone,
    text: () => textOf(deps, group),
    commands: async () => (await lowOf(deps, settings)).map(commandOf),
    apply: async () => {
      await deps.files.makeDirectory('/etc/sysctl.d', { mode: 0o755 });
      await deps.files.writeAtomic(path, await textOf(deps, group), { mode: 0o644 });
      try {
        await setAll(deps, settings);
      } catch (thrown) {
        await deps.files.remove(path); // What cannot be set now cannot be at the next start.
        throw thrown;
      }
    },
  };
  const file = ownFile(deps, inventory, { id, title, path }, isWanted ? making : undefined);
  return {
    ...file,
    touches: [path, ...settings.map(({ name }) => settingPath(name))],
    undo: async (how) => {
      const removals = how.keepK3s ? [] : await file.undo(how);
      return removals.map((removal) => ({
        ...removal,
        run: async () => {
          // Read before it goes.
          const text = (await deps.files.readText(path)) ?? '';
          await putBack(deps, settings, text);
          await removal.run();
        },
      }));
    },
  };
}

/** Those whose value is there and not enough. */
async function lowOf(
  deps: Pick<Deps, 'files'>,
  settings: readonly KernelSetting[],
): Promise<readonly KernelSetting[]> {
  const values = await Promise.all(settings.map(({ name }) => readSetting(deps.files, name)));
  return settings.filter(({ enough }, index) => (values[index] ?? enough) < enough);
}

async function textOf(deps: Deps, { path, settings }: KernelSettingGroup): Promise<string> {
  // How it was before the first time counts.
  const noted = new Map(noteOf((await deps.files.readText(path)) ?? ''));
  const lines = ['# Made by "pipeops-agent doctor --fix". "pipeops-agent uninstall" removes it.'];
  for (const { name, wanted } of settings) {
    const before = noted.get(name) ?? (await readSetting(deps.files, name));
    if (before !== undefined) {
      lines.push(`# before: ${name} = ${before}`);
    }
    lines.push(`${name} = ${wanted}`);
  }
  return `${lines.join('\n')}\n`;
}

function noteOf(text: string): readonly (readonly [name: string, value: number])[] {
  return [...text.matchAll(BEFORE)].map(([, name = '', value]) => [name, Number(value)]);
}

async function setAll(deps: Deps, settings: readonly KernelSetting[]): Promise<void> {
  for (const { name, wanted } of await lowOf(deps, settings)) {
    await set(deps, name, wanted);
  }
}

/** Only what is still as we have set it. */
async function putBack(
  deps: Deps,
  settings: readonly KernelSetting[],
  text: string,
): Promise<void> {
  for (const [name, before] of noteOf(text)) {
    const wanted = settings.find((setting) => setting.name === name)?.wanted;
    if (before !== wanted && (await readSetting(deps.files, name)) === wanted) {
      await set(deps, name, before);
    }
  }
}

function commandOf({ name, wanted }: Pick<KernelSetting, 'name' | 'wanted'>): Command {
  return ['sysctl', '-w', `${name}=${wanted}`];
}

/** @throws AgentError TOOL_FAILED, TOOL_MISSING */
async function set({ exec }: Deps, name: string, value: number): Promise<void> {
  const argv = commandOf({ name, wanted: value });
  const { exitCode, stderr } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${stderr}`, {
      hint: 'Inside a container its host decides: set it there',
      details: { argv: [...argv], exit: exitCode },
    });
  }
}
