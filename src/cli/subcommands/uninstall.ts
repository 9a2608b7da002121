import { AgentError } from '../../core/errors.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import type { UndoOptions } from '../../host/engine/resource.ts';
import type { Report } from '../../machine/reported-steps.ts';
import type { FlagValues } from '../definition/arguments.ts';
import { DRY_RUN_FLAG, JSON_FLAG, PROGRESS_FILE_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { readDuration } from '../definition/read-duration.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { progressFile } from '../terminal/progress-file.ts';
import { namesOf } from './removal-outcome.ts';

const WAITING = { minMs: 1_000, maxMs: 24 * 3_600_000, example: '10m' };

const FLAGS = {
  'keep-k3s': { type: 'boolean', default: false, description: 'Leave k3s and what runs in it' },
  'keep-data': {
    type: 'boolean',
    default: false,
    description: "Leave the agent's identity, token and journal",
  },
  'delete-data': {
    type: 'boolean',
    default: false,
    description: 'Remove also the data of volumes, and what lets a worker come back under its name',
  },
  'wait-control-plane': {
    type: 'string',
    description: 'Where the control plane does not answer, wait so long, so that it hears of it',
    valueHint: 'DURATION',
  },
  'dry-run': DRY_RUN_FLAG,
  yes: { type: 'boolean', default: false, description: 'Do not ask' },
  'progress-file': PROGRESS_FILE_FLAG,
  json: JSON_FLAG,
} as const;

export const uninstallSubcommand = defineSubcommand({
  name: 'uninstall',
  description: 'Removes what was installed on this machine, and only that.',
  example: 'sudo pipeops-agent uninstall --yes',
  flags: FLAGS,
  words: [],
  needsRoot: true,
  locks: true,
  run: (context, { flags }) => {
    const file = progressFile(context, 'uninstall', flags['progress-file']);
    return file.follow(() => runUninstall(context, flags, file.report));
  },
});

async function runUninstall(
  context: CliContext,
  flags: FlagValues<typeof FLAGS>,
  report: Report,
): Promise<number> {
  const wait = flags['wait-control-plane'];
  const waitMs = wait === undefined ? 0 : readDuration('wait-control-plane', wait, WAITING);
  const { openInventory } = await import('../../host/engine/inventory.ts');
  const { withPlacedProgram } = await import('../../host/agent/placed-program.ts');
  const inventory = await withPlacedProgram(context, await openInventory(context));
  await checkInstalled(context, inventory);
  const { removeAll } = await import('./removal.ts');
  return removeAll(context, inventory, howOf(flags), { ...flags, report, waitMs });
}

/** @throws AgentError NOT_INSTALLED, STATE_NEWER */
async function checkInstalled(context: CliContext, inventory: HostInventory): Promise<void> {
  const { installationState } = await import('../../host/engine/step-journal.ts');
  const left = inventory.unknown();
  if (inventory.entries().length > 0) {
    return;
  }
  if (left.length > 0) {
    throw new AgentError('STATE_NEWER', `Only a newer pipeops-agent knows ${namesOf(left)}`, {
      hint: 'Install that version, and uninstall with it',
    });
  }
  // An uninstall that was killed at its very end has left an empty inventory.
  if ((await installationState(context, inventory)) === 'none') {
    throw new AgentError('NOT_INSTALLED', 'There is nothing to remove: nothing was installed', {
      hint: 'Only what "pipeops-agent install" or "join" has set up is removed',
    });
  }
}

/** @throws AgentError USAGE */
function howOf(flags: KeepingFlags): UndoOptions {
  const { 'keep-data': keepData, 'delete-data': deleteData, 'keep-k3s': keepK3s } = flags;
  if (keepData && deleteData) {
    throw new AgentError('USAGE', '--keep-data and --delete-data contradict each other', {
      hint: 'Give one of them, or none',
    });
  }
  return { keepK3s, keepData, deleteData, isUnfinished: false };
}

interface KeepingFlags {
  readonly 'keep-k3s': boolean;
  readonly 'keep-data': boolean;
  readonly 'delete-data': boolean;
}
