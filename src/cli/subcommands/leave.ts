import { AgentError } from '../../core/errors.ts';
import type { HostInventory } from '../../host/engine/inventory.ts';
import type { LeaveOutcome } from '../../machine/leave/cluster.ts';
import type { Leaving } from '../../machine/leave/find.ts';
import type { Report } from '../../machine/reported-steps.ts';
import type { FoundVolume } from '../../machine/uninstall.ts';
import type { FlagValues } from '../definition/arguments.ts';
import { DRY_RUN_FLAG, JSON_FLAG, PROGRESS_FILE_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { readDuration } from '../definition/read-duration.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { progressFile } from '../terminal/progress-file.ts';
import {
  keptVolumeLines,
  lines,
  remainsOf,
  renderRemovalPlan,
  wayOutLines,
} from './removal-outcome.ts';

const MOVING = { minMs: 1_000, maxMs: 24 * 3_600_000, example: '10m' };

const FLAGS = {
  timeout: {
    type: 'string',
    description: 'How long moving the pods may take; disruption budgets are kept',
    default: '5m',
    valueHint: 'DURATION',
  },
  force: {
    type: 'boolean',
    default: false,
    description: 'Also end pods that cannot be moved, and leave where no server answers',
  },
  'dry-run': DRY_RUN_FLAG,
  yes: { type: 'boolean', default: false, description: 'Do not ask' },
  'progress-file': PROGRESS_FILE_FLAG,
  json: JSON_FLAG,
} as const;

export const leaveSubcommand = defineSubcommand({
  name: 'leave',
  description:
    'Moves the pods of this machine away, takes it out of its cluster, and removes what was installed.',
  example: 'sudo pipeops-agent leave',
  flags: FLAGS,
  words: [],
  needsRoot: true,
  locks: true,
  run: (context, { flags }) => {
    const file = progressFile(context, 'leave', flags['progress-file']);
    return file.follow(() => leave(context, flags, file.report));
  },
});

async function leave(
  context: CliContext,
  flags: FlagValues<typeof FLAGS>,
  report: Report,
): Promise<number> {
  const options = {
    timeoutMs: readDuration('timeout', flags.timeout, MOVING),
    force: flags.force,
  };
  const { openInventory } = await import('../../host/engine/inventory.ts');
  const { leaveCluster } = await import('../../machine/leave/cluster.ts');
  const { findLeaving } = await import('../../machine/leave/find.ts');
  const { lookingAtWayOut } = await import('../../machine/way-out.ts');
  const inventory = await openInventory(context);
  const leaving = await findLeaving(context, inventory, options);
  const volumes = await volumesOf(context, inventory);
  context.io.stderr(lines([...keptVolumeLines(volumes), ...leaving.warnings]));
  if (flags['dry-run']) {
    await showPlan(context, inventory, leaving, { json: flags.json, volumes });
    return 0;
  }
  if (!flags.yes) {
    await confirm(context, leaving.node);
  }
  const { result, network } = await lookingAtWayOut(context, () =>
    leaveCluster(context, inventory, leaving, options, report),
  );
  if (flags.json) {
    const { takenOut, ...outcome } = result;
    const document = { ...outcome, taken_out: takenOut, volumes, network };
    context.io.stdout(jsonDocument<'leave'>(document));
  } else {
    const { packageLines } = await import('../../machine/packaged.ts');
    const stays = [...remainsOf(context, result), ...(await packageLines(context))];
    context.io.stderr(lines([...lastWord(leaving, result), ...stays]));
    context.io.stderr(lines(wayOutLines(network)));
  }
  return 0;
}

/** The data of applications on this machine, which stays. */
async function volumesOf(
  context: CliContext,
  inventory: HostInventory,
): Promise<readonly FoundVolume[]> {
  const { REMOVE_ALL, volumesAtStake } = await import('../../machine/uninstall.ts');
  return await volumesAtStake(context, inventory, REMOVE_ALL);
}

/** @throws AgentError USAGE */
async function confirm(context: CliContext, node: string): Promise<void> {
  const question = `Move the pods of "${node}" away, take it out of its cluster and remove everything?`;
  if ((await context.io.confirm(question)) !== true) {
    throw new AgentError('USAGE', 'Nothing was changed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
}

async function showPlan(
  context: CliContext,
  inventory: HostInventory,
  { node, cluster, warnings }: Leaving,
  { json, volumes }: { readonly json: boolean; readonly volumes: readonly FoundVolume[] },
): Promise<void> {
  const { planLeave } = await import('../../machine/leave/move-pods.ts');
  const { planUninstall, REMOVE_ALL } = await import('../../machine/uninstall.ts');
  const pods = cluster === undefined ? [] : await planLeave(context, cluster);
  // Without its cluster nobody can say whether that forgets it.
  const how = { ...REMOVE_ALL, isForgotten: cluster !== undefined };
  const removal = { ...(await planUninstall(context, inventory, how)), volumes };
  if (json) {
    context.io.stdout(jsonDocument<'leave'>({ node, pods, warnings, ...removal }));
    return;
  }
  const { renderTable } = await import('../terminal/render.ts');
  const words: Readonly<Record<string, string>> = {
    evict: 'is moved away',
    skip: 'ends with the node',
    refuse: 'is in the way',
  };
  const rows = pods.map(({ pod, action, reason }) => [pod, words[action] ?? action, reason]);
  context.io.stdout(renderTable([['POD', 'WHAT', 'WHY'], ...rows], context.io.columns));
  context.io.stdout(`\nThen "${node}" leaves its cluster, and all of this goes:\n`);
  context.io.stdout(renderRemovalPlan(context, removal, { json, columns: context.io.columns }));
}

function lastWord({ role }: Leaving, { node, takenOut }: LeaveOutcome): readonly string[] {
  if (takenOut) {
    return [`"${node}" has left its cluster. The agent, k3s and what ran in it are removed.`];
  }
  const byHand = `sudo k3s kubectl delete node ${node}`;
  return [
    'The agent, k3s and what ran in it are removed.',
    role === 'server'
      ? `The cluster still lists "${node}", also in etcd, as a server that is lost. Soon, on another: ${byHand}`
      : `The cluster still lists "${node}": the agent on its server takes it out when it runs and ` +
        `may do so. By hand, there: ${byHand}`,
  ];
}
