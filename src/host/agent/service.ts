import { errorInLines } from '../../core/error-text.ts';
import { AgentError, expectedError } from '../../core/errors.ts';
import { type Places, UNIT_NAME } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { explainingLine } from '../engine/explaining-line.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { isNoted, originalOf, putBack } from '../engine/originals.ts';
import { claimText, writeOwn } from '../engine/own-text.ts';
import { changeOf, restoreOf } from '../engine/removals.ts';
import { LEAVES_NOTHING, type Removal, type Resource } from '../engine/resource.ts';
import {
  DAEMON_RELOAD,
  forgetFailure,
  isActive,
  isEnabled,
  systemctl,
} from '../engine/systemctl.ts';
import type { UnitReport, UnitWatch } from '../engine/unit-watch.ts';
import type { ExecutableSwitch } from './executable.ts';
import { packagedUnit } from './packaged-unit.ts';
import { unitTextsFor } from './unit-texts.ts';

/** Lines of the journal that a failure carries. */
const FAILURE_LINES = 10;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** The file of the daemon's unit, which systemd reads later (`root-units-started.ts`). Removing it stops the daemon. */
export function agentUnit(deps: Deps, inventory: HostInventory): Resource {
  const { isPackaged, unitFile } = deps.places;
  const unit = unitEntry(deps.places);
  const { text } = unitTextsFor(deps.places).agent;
  const isDone = async () => (await deps.files.readText(unitFile)) === text;
  const about = { id: 'agent-unit', title: 'Write the systemd unit', touches: [unitFile] };
  if (isPackaged) {
    return packagedUnit(deps, inventory, about, { unitFile, stop: () => stopForGood(deps) });
  }
  return {
    ...about,
    entries: [unit],
    isWanted: true,
    isDone,
    apply: async () => {
      await claimText(deps, inventory, unit, (found) => looksOurs(deps.places, found));
      await writeOwn(deps, unitFile, text, { mode: 0o644 });
    },
    changes: async () => [await changeOf(deps, unitFile, await isDone(), text)],
    undo: () => unitRemovals(deps, inventory),
  };
}

function unitEntry({ unitFile }: Places) {
  return { kind: 'unit', name: unitFile } as const;
}

/** Whether this is the unit of another version of the agent. */
function looksOurs({ executableLink }: Places, text: string): boolean {
  return text.includes(`\nExecStart=${executableLink} `);
}

/** A unit file that was here before us is put back, but its unit is not started. */
async function unitRemovals(deps: Deps, inventory: HostInventory): Promise<readonly Removal[]> {
  const { unitFile } = deps.places;
  const original = await originalOf(deps, unitFile);
  if (!inventory.has('unit', unitFile) && !(await isNoted(deps, unitFile))) {
    return [];
  }
  const action = original === undefined ? 'remove' : 'restore';
  return [
    {
      title: `Stop and ${action === 'remove' ? 'remove' : 'put back'} ${unitFile}`,
      changes: [
        { action: 'stop', target: UNIT_NAME },
        action === 'remove' ? { action, target: unitFile } : await restoreOf(deps, unitFile),
      ],
      commands: [['systemctl', 'disable', '--quiet', '--now', UNIT_NAME], DAEMON_RELOAD],
      entries: [unitEntry(deps.places)],
      originals: [unitFile],
      run: async () => {
        await stopForGood(deps);
        await deps.files.remove(unitFile);
        await putBack(deps, unitFile);
        await systemctl(deps, 'daemon-reload');
        await forgetFailure(deps, UNIT_NAME);
      },
    },
  ];
}

async function stopForGood(deps: Deps): Promise<void> {
  if ((await deps.files.stat(deps.places.unitFile)) !== undefined) {
    await whileLeaving(deps, () => systemctl(deps, 'disable', '--quiet', '--now', UNIT_NAME));
  }
  if ((await deps.files.stat(deps.places.runtimeDirectory))?.kind === 'directory') {
    await deps.files.removeTree(deps.places.runtimeDirectory);
  }
}

/** While it stops, the daemon finds a file that tells it that this stop is for good. */
async function whileLeaving(deps: Deps, stop: () => Promise<void>): Promise<void> {
  try {
    await deps.files.writeAtomic(deps.places.leavingFile, '', { mode: 0o644 });
  } catch {
    // The disk is full, or the directory is gone. Then the daemon does not say goodbye.
  }
  try {
    await stop();
  } finally {
    await deps.files.remove(deps.places.leavingFile);
  }
}

/**
 * Enables and starts the daemon, or restarts it when something has changed that it reads only at its
 * start.
 * @param reads all that it reads only at its start: version, configuration
 * @param takeOver is told whether this version starts. If it does not, the link leads back
 */
export function startAgent(
  deps: Deps,
  watch: UnitWatch,
  reads: readonly string[],
  takeOver: Pick<ExecutableSwitch, 'back' | 'proven'>,
): Resource {
  const fingerprint = new Bun.CryptoHasher('sha256')
    .update(JSON.stringify([unitTextsFor(deps.places).agent.text, ...reads]))
    .digest('hex');
  const isDone = async () =>
    (await deps.files.readText(deps.places.appliedFile)) === fingerprint &&
    (await isEnabled(deps, UNIT_NAME)) &&
    (await isActive(deps, UNIT_NAME));
  return {
    id: 'start-agent',
    title: 'Start the agent',
    touches: [`systemctl enable, restart ${UNIT_NAME}`],
    ...LEAVES_NOTHING, // It is stopped with its unit.
    isWanted: true,
    isDone,
    changes: async () => {
      const isThere = (await deps.files.stat(deps.places.unitFile)) !== undefined;
      const action = isThere && (await isActive(deps, UNIT_NAME)) ? 'restart' : 'start';
      return [{ action: (await isDone()) ? 'keep' : action, target: UNIT_NAME }];
    },
    commands: async () => [
      ['systemctl', 'enable', '--quiet', UNIT_NAME],
      ['systemctl', 'restart', UNIT_NAME],
    ],
    apply: async () => {
      await deps.files.remove(deps.places.leavingFile); // Left by an uninstall that was killed.
      await systemctl(deps, 'enable', '--quiet', UNIT_NAME);
      await watch.begin();
      try {
        await restart(deps, watch);
      } catch (thrown) {
        if (await takeOver.back()) {
          // If this fails, too, the person is still told why the new version did not start.
          await systemctl(deps, 'restart', UNIT_NAME).catch(() => undefined);
        }
        throw thrown;
      }
      await takeOver.proven();
      await deps.files.writeAtomic(deps.places.appliedFile, fingerprint, { mode: 0o600 });
    },
  };
}

/** @throws AgentError with the daemon's own last error if it does not start */
async function restart(deps: Deps, watch: UnitWatch): Promise<void> {
  try {
    await systemctl(deps, 'restart', UNIT_NAME);
  } catch (thrown) {
    const cause = expectedError(thrown);
    const report = await watch.look();
    // If the daemon has said nothing, systemd's own message is all there is.
    throw cause.code !== 'TOOL_FAILED' || report.lines.length === 0 ? cause : startFailure(report);
  }
}

/** Why the daemon ended, in its own words where it has said so. */
export function startFailure(report: UnitReport): AgentError {
  const own = errorInLines(report.lines);
  const why = own?.message ?? explainingLine(report);
  return new AgentError(own?.code ?? 'TOOL_FAILED', `The agent did not start: ${why}`, {
    hint: own?.hint ?? `Look at: journalctl -u ${UNIT_NAME}`,
    details: { last_lines: report.lines.slice(-FAILURE_LINES) },
  });
}
