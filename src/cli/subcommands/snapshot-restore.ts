import { AgentError } from '../../core/errors.ts';
import type { RestorePlan } from '../../machine/snapshots/restore.ts';
import { SNAPSHOT_SUFFIX } from '../../protocol/files/snapshot.ts';
import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { shown, tell } from './snapshot-outcome.ts';

export const snapshotRestoreSubcommand = defineSubcommand({
  name: 'snapshot restore',
  description:
    'Gives this server the cluster of a snapshot. What it has now is kept beside it; if k3s does not start, it comes back.',
  example: 'sudo pipeops-agent snapshot restore before-upgrade',
  flags: {
    'key-file': {
      type: 'string',
      description: 'The key of the machine that made it, where that was another one',
      valueHint: 'FILE',
    },
    'dry-run': DRY_RUN_FLAG,
    yes: { type: 'boolean', default: false, description: 'Do not ask' },
    json: JSON_FLAG,
  },
  words: [
    {
      name: 'NAME',
      description: 'The name that "snapshot list" shows, or the path of a file',
      required: true,
    },
  ],
  needsRoot: true,
  locks: true,
  run: async (context, { flags, words }) => {
    const { planRestore, restoreSnapshot } = await import('../../machine/snapshots/restore.ts');
    const wishes = await restoreWishes(context, words.NAME, flags['key-file']);
    const plan = await planRestore(context, wishes);
    if (!flags.json || !flags['dry-run']) {
      context.io.stderr(planLines(plan));
    }
    if (flags['dry-run']) {
      tell<'snapshot restore'>(context, flags.json, plan, '');
      return 0;
    }
    await confirm(context, flags.yes, 'Restore it?');
    await shown(context, 'Restore the snapshot', (update) =>
      restoreSnapshot(context, wishes, plan, update),
    );
    tell<'snapshot restore'>(context, flags.json, plan, '');
    context.io.stderr(lastWord(plan));
    return 0;
  },
});

export const snapshotRejoinSubcommand = defineSubcommand({
  name: 'snapshot rejoin',
  description:
    'Makes a further server take the data of the one on which a snapshot was restored. What it has now is kept.',
  example: 'sudo pipeops-agent snapshot rejoin',
  flags: {
    'dry-run': DRY_RUN_FLAG,
    yes: { type: 'boolean', default: false, description: 'Do not ask' },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { planRejoin, rejoin } = await import('../../machine/snapshots/rejoin.ts');
    const plan = await planRejoin(context);
    context.io.stderr(`This will\n${numbered(plan.steps)}`);
    if (flags['dry-run']) {
      tell<'snapshot rejoin'>(context, flags.json, plan, '');
      return 0;
    }
    await confirm(context, flags.yes, 'Rejoin?');
    await shown(context, 'Rejoin the cluster', (update) => rejoin(context, plan, update));
    tell<'snapshot rejoin'>(context, flags.json, plan, '');
    context.io.stderr(`Rejoined. What was here before is in ${plan.kept_in}\n`);
    return 0;
  },
});

async function restoreWishes(context: CliContext, name: string, keyFile: string | undefined) {
  const { givenSnapshotKey, snapshotKey } = await import('../../machine/snapshots/key.ts');
  const { findSnapshot } = await import('../../machine/snapshots/shelf.ts');
  const isPath = name.includes('/') || name.endsWith(SNAPSHOT_SUFFIX);
  const path = isPath ? name : (await findSnapshot(context, name)).path;
  const key =
    keyFile === undefined ? await snapshotKey(context) : await givenSnapshotKey(context, keyFile);
  if (key === undefined) {
    throw new AgentError('USAGE', 'This machine has no key of snapshots', {
      hint: 'Give that of the machine that made it: --key-file FILE',
    });
  }
  return { path, key };
}

function planLines({ snapshot, same_cluster, steps }: RestorePlan): string {
  const whose = same_cluster ? 'of this cluster' : 'of ANOTHER cluster than the one that is here';
  return (
    `${snapshot.name}: made ${snapshot.created} on ${snapshot.node}, ${whose}. This will\n` +
    numbered(steps)
  );
}

function lastWord({ snapshot, node, kept_in }: RestorePlan): string {
  const other =
    snapshot.node === node
      ? ''
      : `The snapshot is of the node ${snapshot.node}, and this one is ${node}. When that machine is gone: ` +
        `sudo k3s kubectl delete node ${snapshot.node}\n`;
  const servers =
    snapshot.datastore === 'etcd'
      ? 'On each further server of that cluster: sudo pipeops-agent snapshot rejoin (docs/BACKUP.md)\n'
      : '';
  return `Restored. What was here before is in ${kept_in}: remove it when all is well.\n${other}${servers}`;
}

async function confirm(context: CliContext, isConfirmed: boolean, question: string): Promise<void> {
  if (!isConfirmed && (await context.io.confirm(question)) !== true) {
    throw new AgentError('USAGE', 'Nothing was changed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
}

function numbered(steps: readonly string[]): string {
  return steps.map((step, index) => `  ${index + 1}. ${step}\n`).join('');
}
