/** Hands a change of version over to the watcher, and follows it. */
import { AgentError, expectedError } from '../../core/errors.ts';
import { pollUntil } from '../../core/waiting.ts';
import { executablePath } from '../../host/agent/executable.ts';
import { readRecord, readResult, writeRecord } from '../../host/agent/upgrade/record.ts';
import {
  enableWatcher,
  startWatcher,
  WATCHER_UNIT_NAME,
} from '../../host/agent/upgrade/watcher-unit.ts';
import { activeState, isStartedOrStarting } from '../../host/engine/systemctl.ts';
import {
  UPGRADE_READER,
  type UpgradeRecord,
  type UpgradeResult,
} from '../../protocol/files/upgrade.ts';
import { askDaemon } from '../ask-daemon.ts';
import type { MachineContext } from '../context.ts';

const ID_BYTES = 8;
const LOOK_INTERVAL_MS = 250;
/** The new version may take its grace, and the old one too. */
const FOLLOW_LIMIT_MS = 5 * 60_000;
const LOOK = `journalctl -u ${WATCHER_UNIT_NAME}`;

const WORDS: Readonly<Record<UpgradeRecord['step'], string>> = {
  switch: 'switching',
  judge: 'looking whether it is well',
  back: 'it is not; going back',
};

/** @throws AgentError BUSY while a change is under way. One that nobody goes on with is none */
export async function refuseSecondChange(context: MachineContext): Promise<void> {
  const record = await readRecord(context);
  if (record !== undefined && (await isStartedOrStarting(context, WATCHER_UNIT_NAME))) {
    throw new AgentError('BUSY', `The change from ${record.from} to ${record.to} is under way`, {
      hint: `Wait for its end, which comes by itself: ${LOOK}`,
    });
  }
}

type Change = Pick<UpgradeRecord, 'kind' | 'from' | 'to' | 'command_id'>;

/**
 * Switches to a version that is in its place, and comes back when that is known to be well, or the one before
 * runs again. It goes on by itself when this process ends.
 * @throws AgentError UPGRADE_FAILED, TOOL_FAILED, INTERRUPTED
 */
export async function changeVersion(
  context: MachineContext,
  change: Change,
): Promise<UpgradeResult> {
  const progress = await context.progress(`Change from ${change.from} to ${change.to}`);
  try {
    const id = await beginChange(context, change);
    const result = await followChange(context, id, progress.update);
    refuseFailure(result);
    progress.done();
    return result;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

/** Enables the unit that goes on with the change, writes the record, and starts the unit. @returns its id. @throws AgentError TOOL_FAILED */
export async function beginChange(context: MachineContext, change: Change): Promise<string> {
  const { clock, files, places, random } = context;
  const id = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
  await enableWatcher(context, knownToRun(context, change.from));
  await writeRecord(context, {
    ...{ v: UPGRADE_READER, id, ...change, step: 'switch', judged: 0, why: null },
    began: clock.now().toISOString(),
    had_session: await hasSession(context),
  });
  await startWatcher(context).catch(async (thrown: unknown) => {
    await files.remove(places.upgradeFile); // Nobody would go on with it.
    throw thrown;
  });
  return id;
}

async function followChange(
  context: MachineContext,
  id: string,
  update: (text: string) => void,
): Promise<UpgradeResult> {
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: FOLLOW_LIMIT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const record = await readRecord(context);
    const result = record === undefined ? await readResult(context) : undefined;
    if (result?.id === id) {
      return { found: result };
    }
    update(WORDS[record?.step ?? 'switch']);
    // Without a record it has ended without a result: the disk was full. With one, systemd has given it up.
    const isOver =
      record === undefined
        ? !(await isStartedOrStarting(context, WATCHER_UNIT_NAME))
        : (await activeState(context, WATCHER_UNIT_NAME)) === 'failed';
    return isOver ? { found: undefined } : { soFar: undefined };
  });
  if (end.kind !== 'found' || end.found === undefined) {
    throw await notFollowed(context, end.kind === 'aborted' ? 'aborted' : 'late');
  }
  return end.found;
}

/**
 * The program that runs now, or the installed one where this was started from elsewhere: the agent's user
 * cannot reach every place, and not every place stays.
 */
export function knownToRun({ execPath, places }: MachineContext, installed: string): string {
  return execPath.startsWith(`${places.versionsDirectory}/`)
    ? execPath
    : executablePath(places, installed);
}

function refuseFailure({ outcome, from, to, why }: UpgradeResult): void {
  if (outcome === 'went-back') {
    throw new AgentError(
      'UPGRADE_FAILED',
      `${to} was not well here, and ${from} runs again: ${why}`,
      {
        hint: 'Stay with it, and report the other one, with: journalctl -u pipeops-agent',
      },
    );
  }
  if (outcome === 'stuck') {
    throw new AgentError('UPGRADE_FAILED', `Neither ${to} nor ${from} is well here: ${why}`, {
      hint: 'See why: journalctl -u pipeops-agent, sudo pipeops-agent doctor',
    });
  }
}

async function notFollowed(context: MachineContext, why: 'late' | 'aborted'): Promise<AgentError> {
  if (why === 'aborted') {
    return new AgentError('INTERRUPTED', 'Interrupted; the change goes on by itself', {
      hint: `See how it ends: ${LOOK}`,
    });
  }
  const state = await activeState(context, WATCHER_UNIT_NAME);
  return new AgentError('UPGRADE_FAILED', `The change has not ended; its unit is ${state}`, {
    hint: `See why: ${LOOK}${state === 'failed' ? '; mend that, then run the same command again' : ''}`,
  });
}

/** A daemon that does not answer has none. */
export async function hasSession(context: MachineContext): Promise<boolean> {
  try {
    return (await askDaemon(context, 0)).session.phase === 'connected';
  } catch (thrown) {
    expectedError(thrown);
    return false;
  }
}
