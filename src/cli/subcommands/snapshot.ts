import { AgentError } from '../../core/errors.ts';
import type { SnapshotEntry } from '../../machine/snapshots/shelf.ts';
import { kindOfName, SnapshotName } from '../../protocol/files/snapshot.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderTable } from '../terminal/render.ts';
import { shown, tell } from './snapshot-outcome.ts';

const NAME_WORD = {
  name: 'NAME',
  description: 'The name that "snapshot list" shows',
  required: true,
} as const;

export const snapshotCreateSubcommand = defineSubcommand({
  name: 'snapshot create',
  description:
    "Makes a snapshot of the cluster's data and the token that belongs to it, while the cluster runs.",
  example: 'sudo pipeops-agent snapshot create --name before-upgrade',
  flags: {
    name: {
      type: 'string',
      description: 'Its name; the time when absent. It stays until it is deleted',
      valueHint: 'NAME',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { createSnapshot } = await import('../../machine/snapshots/create.ts');
    const name = readName(flags.name);
    const wishes = { name, kind: 'manual' as const };
    const made = await shown(context, 'Make a snapshot', (update) =>
      createSnapshot(context, wishes, update),
    );
    tell<'snapshot create'>(context, flags.json, made, `${made.path} (${megabytes(made.bytes)})\n`);
    await tellOfKey(context, made);
    return 0;
  },
});

/** Without the key elsewhere, a snapshot is of no use when the machine is lost. */
async function tellOfKey(context: CliContext, made: SnapshotEntry): Promise<void> {
  const { listSnapshots } = await import('../../machine/snapshots/shelf.ts');
  const ofThisKey = (await listSnapshots(context)).filter((each) => each.key_id === made.key_id);
  if (ofThisKey.length === 1) {
    context.io.stderr(
      'Only the key of this machine opens it. Keep a copy of the key elsewhere: ' +
        'sudo pipeops-agent snapshot key\n',
    );
  }
}

export const snapshotListSubcommand = defineSubcommand({
  name: 'snapshot list',
  description: 'Lists the snapshots on this machine, newest first.',
  example: 'sudo pipeops-agent snapshot list',
  flags: {
    copies: {
      type: 'boolean',
      default: false,
      description: 'Those that this server has copied elsewhere, instead',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { listSnapshots } = await import('../../machine/snapshots/shelf.ts');
    if (flags.copies) {
      return await tellOfCopies(context, flags.json);
    }
    const snapshots = await listSnapshots(context);
    if (flags.json) {
      context.io.stdout(jsonDocument<'snapshot list'>({ snapshots }));
      return 0;
    }
    if (snapshots.length === 0) {
      context.io.stderr('There is none. Make one: sudo pipeops-agent snapshot create\n');
      return 0;
    }
    const rows = snapshots.map(({ name, created, bytes, datastore, k3s, node }) => {
      return [name, created, megabytes(bytes), datastore, k3s ?? '-', node];
    });
    const head = ['NAME', 'MADE', 'SIZE', 'OF', 'K3S', 'NODE'];
    context.io.stdout(renderTable([head, ...rows], context.io.columns));
    return 0;
  },
});

async function tellOfCopies(context: CliContext, asJson: boolean): Promise<number> {
  const { listCopies } = await import('../../machine/snapshots/fetch.ts');
  const copies = await listCopies(context);
  const rows = copies.map(({ name, created, place, from }) => [name, created, place, from]);
  const table = renderTable([['NAME', 'MADE', 'AT', 'FROM'], ...rows], context.io.columns);
  tell<'snapshot list'>(context, asJson, { copies }, table);
  return 0;
}

export const snapshotDeleteSubcommand = defineSubcommand({
  name: 'snapshot delete',
  description: 'Deletes a snapshot on this machine. Copies elsewhere stay.',
  example: 'sudo pipeops-agent snapshot delete before-upgrade',
  flags: { json: JSON_FLAG },
  words: [NAME_WORD],
  needsRoot: true,
  run: async (context, { flags, words }) => {
    const { deleteSnapshot } = await import('../../machine/snapshots/shelf.ts');
    const { withSnapshotLock } = await import('../../machine/snapshots/lock.ts');
    const name = words.NAME;
    await withSnapshotLock(context, 'snapshot delete', () => deleteSnapshot(context, name));
    tell<'snapshot delete'>(context, flags.json, { deleted: name }, `Deleted ${name}\n`);
    return 0;
  },
});

export const snapshotKeySubcommand = defineSubcommand({
  name: 'snapshot key',
  description:
    'Prints the key that opens the snapshots of this machine. Keep it elsewhere: it is worth the cluster.',
  example: 'sudo pipeops-agent snapshot key > key',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { snapshotKey, snapshotKeyMade } = await import('../../machine/snapshots/key.ts');
    const { withSnapshotLock } = await import('../../machine/snapshots/lock.ts');
    const { encodeSnapshotKey } = await import('../../protocol/secrets/snapshot-key.ts');
    const key =
      (await snapshotKey(context)) ??
      (await withSnapshotLock(context, 'snapshot key', () => snapshotKeyMade(context)));
    context.io.stdout(`${encodeSnapshotKey(key)}\n`);
    return 0;
  },
});

export const snapshotCheckSubcommand = defineSubcommand({
  name: 'snapshot check',
  description: 'Says whether a snapshot could be restored: opens it aside and checks its data.',
  example: 'sudo pipeops-agent snapshot check before-upgrade',
  flags: { json: JSON_FLAG },
  words: [NAME_WORD],
  needsRoot: true,
  run: async (context, { flags, words }) => {
    const { checkSnapshot } = await import('../../machine/snapshots/check.ts');
    const { findSnapshot } = await import('../../machine/snapshots/shelf.ts');
    const { path, name } = await findSnapshot(context, words.NAME);
    const header = await checkSnapshot(context, path);
    const { created } = header;
    tell<'snapshot check'>(
      context,
      flags.json,
      { name, created, restorable: true },
      `${name} can be restored\n`,
    );
    return 0;
  },
});

function readName(given: string | undefined): string | undefined {
  const parsed = SnapshotName.optional().safeParse(given);
  if (!parsed.success) {
    throw new AgentError('USAGE', 'This is no name for a snapshot', {
      hint: 'It has at most 96 lower-case letters, digits, "-" and "."',
    });
  }
  if (parsed.data !== undefined && kindOfName(parsed.data) !== 'manual') {
    throw new AgentError('USAGE', `The name "${parsed.data}" is one of those that expire`, {
      hint: 'Choose one that begins with another word',
    });
  }
  return parsed.data;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export const snapshotFetchSubcommand = defineSubcommand({
  name: 'snapshot fetch',
  description: 'Brings a copy of a snapshot back to this machine, to be restored.',
  example: 'sudo pipeops-agent snapshot fetch 5f2c…/web-1/before-upgrade.snapshot',
  flags: { json: JSON_FLAG },
  words: [
    {
      name: 'FROM',
      description: 'What "snapshot list --copies" shows: a path, or a key in the store',
      required: true,
    },
  ],
  needsRoot: true,
  run: async (context, { flags, words }) => {
    const { fetchCopy } = await import('../../machine/snapshots/fetch.ts');
    const fetched = await shown(context, 'Fetch the copy', () => fetchCopy(context, words.FROM));
    tell<'snapshot fetch'>(context, flags.json, fetched, `${fetched.path}\n`);
    return 0;
  },
});

/** Run by pipeops-agent-snapshots.service, once an hour. */
export const snapshotRunSubcommand = defineSubcommand({
  name: 'snapshot run',
  description:
    'Makes a snapshot if one is due, copies what is not copied yet, and deletes what is too old. A timer does this.',
  example: 'sudo pipeops-agent snapshot run',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { runSchedule } = await import('../../machine/snapshots/schedule.ts');
    const { done, problems } = await runSchedule(context);
    const told = { done, problems: problems.map(({ code, message }) => ({ code, message })) };
    const [first, ...others] = problems;
    if (!flags.json || first === undefined) {
      tell<'snapshot run'>(context, flags.json, told, done.map((line) => `${line}\n`).join(''));
    }
    for (const { message } of others) {
      context.io.stderr(`${message}\n`);
    }
    if (first !== undefined) {
      const hint = first.hint ?? 'Run it again';
      throw new AgentError(first.code, first.message, { hint, details: told });
    }
    return 0;
  },
});
