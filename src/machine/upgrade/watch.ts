/**
 * The change of the version itself, in a unit of its own (host/agent/upgrade/watcher-unit.ts): switches the link,
 * judges, and goes back if it must. Every step is in the record before it is done, and can be done again.
 */
import type { Config } from '../../config/schema.ts';
import { expectedError } from '../../core/errors.ts';
import { UNIT_NAME } from '../../core/places.ts';
import { within } from '../../core/waiting.ts';
import { executablePath, pruneVersions } from '../../host/agent/executable.ts';
import { type Judged, judgeAfterRestart } from '../../host/agent/upgrade/judge.ts';
import {
  readRecord,
  readResult,
  removeRecord,
  writeRecord,
  writeResult,
} from '../../host/agent/upgrade/record.ts';
import { silenceWatch } from '../../host/agent/upgrade/silence.ts';
import { removeWatcher } from '../../host/agent/upgrade/watcher-unit.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { UpgradeRecord } from '../../protocol/files/upgrade.ts';
import { askDaemon } from '../ask-daemon.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { proxySettings, readCa } from '../outbound.ts';

/** A machine that went down so often while it was judged is not asked again. */
const JUDGED_MAX = 3;
const UNIT_TIMEOUT_MS = 60_000;
const REACH_TIMEOUT_MS = 10_000;

/**
 * Ends when there is nothing to change any more.
 * @param say for the journal: a line for each step
 * @throws AgentError of the machine: systemd starts it again, until its limit (host/agent/upgrade/watcher-unit.ts)
 */
export async function watchUpgrade(
  context: MachineContext,
  say: (line: string) => void,
): Promise<void> {
  for (let record = await readRecord(context); record !== undefined; ) {
    say(lineOf(record));
    record = await nextStep(context, record);
  }
  const result = await readResult(context);
  if (result !== undefined) {
    say(`The last change, from ${result.from} to ${result.to}, ended: ${result.outcome}`);
  }
  await removeWatcher(context);
}

function lineOf({ step, from, to, judged, why }: UpgradeRecord): string {
  switch (step) {
    case 'switch':
      return `Switching from ${from} to ${to}`;
    case 'judge':
      return `Looking whether ${to} is well${judged === 0 ? '' : ', once more'}`;
    case 'back':
      return `${to} is not well: ${why}. Going back to ${from}`;
  }
}

/** @returns the record as it is then; undefined when all is done */
async function nextStep(
  context: MachineContext,
  record: UpgradeRecord,
): Promise<UpgradeRecord | undefined> {
  const { from, to } = record;
  switch (record.step) {
    case 'switch': {
      const why = await takeOver(context, to);
      return await goOn(
        context,
        record,
        why === undefined ? { step: 'judge' } : { step: 'back', why },
      );
    }
    case 'judge': {
      if (record.judged >= JUDGED_MAX) {
        const why = `the machine went down ${record.judged} times while it was tried`;
        return await goOn(context, record, { step: 'back', why });
      }
      const judging = await goOn(context, record, { judged: record.judged + 1 });
      const hadSession = record.had_session;
      const why = await judge(context, { version: to, hadSession, isWayBack: false });
      return why === undefined
        ? await end(context, record, 'done', null)
        : await goOn(context, judging, { step: 'back', why });
    }
    case 'back': {
      const incomplete = await takeOver(context, from);
      const stuck = await judge(context, { version: from, hadSession: false, isWayBack: true });
      const ofFrom = [incomplete, stuck].filter((each) => each !== undefined);
      const why = [record.why, ...ofFrom.map((each) => `${from}: ${each}`)].join('; and ');
      return await end(context, record, stuck === undefined ? 'went-back' : 'stuck', why);
    }
  }
}

async function goOn(
  context: MachineContext,
  record: UpgradeRecord,
  changed: Partial<UpgradeRecord>,
): Promise<UpgradeRecord> {
  const next = { ...record, ...changed };
  await evenIfFull(() => writeRecord(context, next));
  return next;
}

/** A full disk must not keep a machine at a version that is not well. */
async function evenIfFull(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (thrown) {
    if (expectedError(thrown).code !== 'DISK_FULL') {
      throw thrown;
    }
  }
}

/**
 * Lets the link lead to a version, which writes its own unit.
 * @returns why it could not
 * @throws AgentError INTERRUPTED where the machine goes down meanwhile
 */
async function takeOver(context: MachineContext, version: string): Promise<string | undefined> {
  const program = executablePath(context.places, version);
  await context.files.link(program, context.places.executableLink);
  const words = [program, 'upgrade', 'place-unit'] as const;
  try {
    const { exitCode, stderr } = await context.exec.run(words, { timeoutMs: UNIT_TIMEOUT_MS });
    if (context.signal.aborted) {
      throw interrupted(`while ${version} took over`); // systemd ends all processes of the unit.
    }
    return exitCode === 0 ? undefined : `it could not write its unit: ${stderr.split('\n')[0]}`;
  } catch (thrown) {
    const error = expectedError(thrown);
    if (error.code === 'INTERRUPTED') {
      throw error;
    }
    return error.message;
  }
}

/** @returns why a version is not well after a restart of the daemon; undefined where it is */
export async function judge(context: MachineContext, judged: Judged): Promise<string | undefined> {
  const { clock, exec, signal } = context;
  const deps = {
    ...{ clock, exec },
    health: () => askDaemon(context, 0),
    silence: silenceWatch(context, UNIT_NAME),
    isControlPlaneThere: () => isControlPlaneThere(context),
  };
  return await judgeAfterRestart(deps, judged, signal);
}

/** With settings that cannot be read nobody knows, and no version is to blame. */
async function isControlPlaneThere(context: MachineContext): Promise<boolean> {
  try {
    const { config } = await loadEffectiveConfig(context, {});
    return await answers(context, config);
  } catch (thrown) {
    expectedError(thrown);
    return false;
  }
}

async function answers(context: MachineContext, config: Config): Promise<boolean> {
  const ca = await readCa(context, config);
  const network = await context.network({ ca, proxy: proxySettings(context, config) });
  try {
    return await within(context.clock, REACH_TIMEOUT_MS, context.signal, async (signal) => {
      const response = await network.http(config.control_plane.url, { signal });
      await response.body?.cancel();
      return true; // Whatever it says.
    });
  } catch {
    return false;
  } finally {
    network.close();
  }
}

async function end(
  context: MachineContext,
  record: UpgradeRecord,
  outcome: 'done' | 'went-back' | 'stuck',
  why: string | null,
): Promise<undefined> {
  const { v, id, kind, from, to, began, command_id } = record;
  const now = context.clock.now();
  if (outcome === 'done') {
    const before = executablePath(context.places, from);
    const { previousExecutableFile } = context.places;
    await evenIfFull(() =>
      context.files.writeAtomic(previousExecutableFile, `${before}\n`, { mode: 0o600 }),
    );
    await removeOlder(context, to);
  }
  const took_ms = Math.max(0, now.getTime() - Date.parse(began));
  const asked = command_id === undefined ? {} : { command_id };
  const change = { v, id, kind, from, to, ...asked };
  const result = { ...change, outcome, why, at: now.toISOString(), took_ms };
  await evenIfFull(() => writeResult(context, result));
  await removeRecord(context);
}

/** What is left costs room; the version that was just found well is not to be judged anew for it. */
async function removeOlder(context: MachineContext, version: string): Promise<void> {
  const quiet = () => undefined;
  try {
    // The unit of this process may have to start again: its program stays.
    await pruneVersions(context, version, context.execPath).apply(quiet, quiet);
  } catch (thrown) {
    context.log.warn('Older versions stay', { error_code: expectedError(thrown).code });
  }
}
