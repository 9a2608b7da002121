/** Gives the kernel an argument, in the place from which the boot loader of this machine takes them. */
import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { claimPath, type PathEntry } from '../engine/originals.ts';
import { writeOwn } from '../engine/own-text.ts';
import { changeOf, removePath } from '../engine/removals.ts';
import { type Command, LEFT_AS_IT_IS, type Removal, type Resource } from '../engine/resource.ts';
import {
  BOOT_LINE_FILES,
  type BootPlace,
  findBootPlace,
  GRUB_DROP_IN,
  GRUB_FILE,
  MEMORY_ARGUMENTS,
} from '../facts/boot-place.ts';

export const BOOT_LINE_ID = 'boot-line';

/** To make the boot loader's file takes seconds, and longer with many kernels on a slow card. */
const TIMEOUT_MS = 120_000;
/** Beside the file, for who mends a machine that does not start: its card is read elsewhere. */
const BACKUP = '.before-pipeops';
const GRUB_LINE = `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${MEMORY_ARGUMENTS.join(' ')}"`;
const GRUB_TEXT = `# Made by "pipeops-agent doctor --fix". "pipeops-agent uninstall" removes it.\n${GRUB_LINE}\n`;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Edit {
  readonly path: string;
  readonly text: string;
  /** What is there before, kept beside it. */
  readonly backup?: { readonly path: string; readonly text: string };
}

const ENTRIES: readonly PathEntry[] = [
  ...BOOT_LINE_FILES.flatMap((file) => [file, `${file}${BACKUP}`]),
  ...[GRUB_DROP_IN, GRUB_FILE],
].map((name) => ({ kind: 'file', name }));

/** The arguments that let the kernel count memory by control groups. They are in force after a restart. */
export function bootLine(deps: Deps, inventory: HostInventory, isWanted: boolean): Resource {
  const isDone = async () => {
    const place = await findBootPlace(deps);
    switch (place.kind) {
      case 'line':
        return missingIn((await deps.files.readText(place.file)) ?? '').length === 0;
      case 'grub': {
        const made = (await deps.files.readText(place.makes)) ?? '';
        return ((await deps.files.readText(place.file)) ?? '').includes(GRUB_LINE) && isIn(made);
      }
      case 'grubby':
        return (await missingForGrubby(deps)).length === 0;
      case 'by-hand':
        return true;
    }
  };
  const making = {
    isWanted: true,
    isDone,
    apply: async () => {
      const place = await findBootPlace(deps);
      const edit = await editOf(deps, place);
      if (edit !== undefined) {
        await write(deps, inventory, edit);
      }
      if (place.kind === 'grubby') {
        for (const argument of await missingForGrubby(deps)) {
          await inventory.record({ kind: 'boot-argument', name: argument });
        }
      }
      for (const command of await commandsOf(deps, place)) {
        await run(deps, command);
      }
    },
    changes: async () => {
      const place = await findBootPlace(deps);
      const edit = await editOf(deps, place);
      const missing = place.kind === 'grubby' ? await missingForGrubby(deps) : [];
      return [
        ...(edit === undefined ? [] : [await changeOf(deps, edit.path, await isDone(), edit.text)]),
        ...missing.map(
          (argument) => ({ action: 'create', target: argumentWords(argument) }) as const,
        ),
      ];
    },
    commands: async () => commandsOf(deps, await findBootPlace(deps)),
  };
  return {
    id: BOOT_LINE_ID,
    title: 'Let the kernel count memory, from the next start on',
    touches: [],
    entries: [...ENTRIES, ...inventory.entries().filter(({ kind }) => kind === 'boot-argument')],
    ...(isWanted ? making : LEFT_AS_IT_IS),
    undo: async ({ keepK3s }) => (keepK3s ? [] : await removals(deps, inventory)),
  };
}

function argumentWords(argument: string): string {
  return `argument ${argument} of each kernel`;
}

function isIn(text: string): boolean {
  return MEMORY_ARGUMENTS.every((argument) => text.split(/\s+/).includes(argument));
}

/** @param text of a boot line, of which only the first line counts */
function missingIn(text: string): readonly string[] {
  const [line = ''] = text.split('\n');
  return MEMORY_ARGUMENTS.filter((argument) => !line.split(/\s+/).includes(argument));
}

async function editOf({ files }: Deps, place: BootPlace): Promise<Edit | undefined> {
  switch (place.kind) {
    case 'line': {
      const text = (await files.readText(place.file)) ?? '';
      const [line = '', ...rest] = text.split('\n');
      const whole = [line.trimEnd(), ...missingIn(text)].join(' ');
      const backup = { path: `${place.file}${BACKUP}`, text };
      return { path: place.file, text: [whole, ...rest].join('\n'), backup };
    }
    case 'grub': {
      if (place.file === GRUB_DROP_IN) {
        return { path: place.file, text: GRUB_TEXT };
      }
      const text = (await files.readText(place.file)) ?? '';
      const isThere = text.includes(GRUB_LINE);
      return { path: place.file, text: isThere ? text : `${text.trimEnd()}\n${GRUB_TEXT}` };
    }
    default:
      return undefined;
  }
}

async function write(
  deps: Deps,
  inventory: HostInventory,
  { path, text, backup }: Edit,
): Promise<void> {
  if ((await deps.files.readText(path)) === text) {
    return; // A run that was killed has written it, and not what is made of it.
  }
  const mode = (await deps.files.stat(path))?.mode ?? 0o644;
  if (backup !== undefined && (await deps.files.stat(backup.path)) === undefined) {
    await claimPath(deps, inventory, { kind: 'file', name: backup.path });
    await deps.files.writeAtomic(backup.path, backup.text, { mode });
  }
  await claimPath(deps, inventory, { kind: 'file', name: path });
  await deps.files.makeDirectory(dirname(path), { mode: 0o755 });
  await writeOwn(deps, path, text, { mode });
}

async function commandsOf(deps: Deps, place: BootPlace): Promise<readonly Command[]> {
  if (place.kind === 'grubby') {
    const args = `--args=${(await missingForGrubby(deps)).join(' ')}`;
    return [['grubby', '--update-kernel=ALL', args]];
  }
  return place.kind === 'grub' ? [place.maker] : [];
}

/** Those that not every kernel has that may be started. */
async function missingForGrubby({ exec }: Deps): Promise<readonly string[]> {
  const { stdout } = await exec.run(['grubby', '--info=ALL'], { timeoutMs: TIMEOUT_MS });
  const lines = stdout.split('\n').filter((line) => line.startsWith('args='));
  const has = (line: string, argument: string) =>
    line.slice('args='.length).replaceAll('"', '').split(/\s+/).includes(argument);
  return MEMORY_ARGUMENTS.filter(
    (argument) => lines.length === 0 || !lines.every((line) => has(line, argument)),
  );
}

async function removals(deps: Deps, inventory: HostInventory): Promise<readonly Removal[]> {
  const place = await findBootPlace(deps);
  const files = await Promise.all(ENTRIES.map((entry) => removePath(deps, inventory, entry)));
  const remakes: readonly Command[] = place.kind === 'grub' ? [place.maker] : [];
  const added = inventory.entries().filter(({ kind }) => kind === 'boot-argument');
  const args = `--remove-args=${added.map(({ name }) => name).join(' ')}`;
  const ofGrubby: Command = ['grubby', '--update-kernel=ALL', args];
  return [
    ...files.flat().map((removal) => ({
      ...removal,
      commands: remakes,
      run: async () => {
        await removal.run();
        for (const command of remakes) {
          await run(deps, command);
        }
      },
    })),
    ...(added.length === 0
      ? []
      : [
          {
            title: 'Take the arguments for the kernel away again',
            changes: added.map(
              ({ name }) => ({ action: 'remove', target: argumentWords(name) }) as const,
            ),
            commands: [ofGrubby],
            entries: added,
            run: () => run(deps, ofGrubby),
          },
        ]),
  ];
}

/** @throws AgentError TOOL_FAILED, TOOL_MISSING */
async function run({ exec }: Deps, argv: Command): Promise<void> {
  const { exitCode, stdout, stderr } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) {
    const said = (stderr || stdout).trim();
    throw new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${said}`, {
      hint: 'Correct what it says, then run the same command again; the machine starts as before',
      details: { argv: [...argv], exit: exitCode },
    });
  }
}
