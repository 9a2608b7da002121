import unitText from '../../../systemd/pipeops-agent.service' with { type: 'text' };
import { errorInLines } from '../../core/error-text.ts';
import { AgentError, expectedError } from '../../core/errors.ts';
import { APPLIED_FILE, LEAVING_FILE, UNIT_FILE, UNIT_NAME } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { explainingLine } from '../engine/explaining-line.ts';
import { type HostInventory, recordNew } from '../engine/inventory.ts';
import type { Step } from '../engine/steps.ts';
import { isActive, isEnabled, systemctl, unitProperties } from '../engine/systemctl.ts';
import type { UnitReport, UnitWatch } from '../engine/unit-watch.ts';
import type { ExecutableSwitch } from './executable.ts';

/** Lines of the journal that a failure carries. */
const FAILURE_LINES = 10;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** The systemd unit of the daemon. */
export function agentUnit(deps: Deps, inventory: HostInventory): Step {
  return {
    id: 'agent-unit',
    title: 'Write the systemd unit',
    touches: [UNIT_FILE],
    // A run that ended before the reload has left systemd with the unit of before.
    isDone: async () =>
      (await deps.files.readText(UNIT_FILE)) === unitText &&
      (await unitProperties(deps, UNIT_NAME, ['NeedDaemonReload']))['NeedDaemonReload'] !== 'yes',
    apply: async () => {
      await recordNew(deps, inventory, { kind: 'unit', name: UNIT_FILE });
      await deps.files.writeAtomic(UNIT_FILE, unitText, { mode: 0o644 });
      await systemctl(deps, 'daemon-reload');
    },
  };
}

/**
 * Enables and starts the daemon, and starts it again when what it reads only at its start has
 * changed since.
 * @param reads everything of that kind: version, configuration
 * @param takeOver hears whether this version starts; where not, what is linked is what ran before
 */
export function startAgent(
  deps: Deps,
  watch: UnitWatch,
  reads: readonly string[],
  takeOver: Pick<ExecutableSwitch, 'back' | 'proven'>,
): Step {
  const fingerprint = new Bun.CryptoHasher('sha256')
    .update(JSON.stringify([unitText, ...reads]))
    .digest('hex');
  return {
    id: 'start-agent',
    title: 'Start the agent',
    touches: [`systemctl enable, restart ${UNIT_NAME}`],
    isDone: async () =>
      (await deps.files.readText(APPLIED_FILE)) === fingerprint &&
      (await isEnabled(deps, UNIT_NAME)) &&
      (await isActive(deps, UNIT_NAME)),
    apply: async () => {
      await deps.files.remove(LEAVING_FILE); // Of an uninstall that was killed: it stays after all.
      await systemctl(deps, 'enable', '--quiet', UNIT_NAME);
      await watch.begin();
      try {
        await restart(deps, watch);
      } catch (thrown) {
        if (await takeOver.back()) {
          // As well as it goes: what is to be told is why the new one did not start.
          await systemctl(deps, 'restart', UNIT_NAME).catch(() => undefined);
        }
        throw thrown;
      }
      await takeOver.proven();
      await deps.files.writeAtomic(APPLIED_FILE, fingerprint, { mode: 0o600 });
    },
  };
}

/** @throws AgentError with the daemon's own last error where it does not start */
async function restart(deps: Deps, watch: UnitWatch): Promise<void> {
  try {
    await systemctl(deps, 'restart', UNIT_NAME);
  } catch (thrown) {
    const cause = expectedError(thrown);
    const report = await watch.look();
    // Without a word from the daemon, systemd's are all there is.
    throw cause.code !== 'TOOL_FAILED' || report.lines.length === 0 ? cause : startFailure(report);
  }
}

/** What the daemon ended with, as it said itself. */
export function startFailure(report: UnitReport): AgentError {
  const own = errorInLines(report.lines);
  const why = own?.message ?? explainingLine(report);
  return new AgentError(own?.code ?? 'TOOL_FAILED', `The agent did not start: ${why}`, {
    hint: own?.hint ?? `Look at: journalctl -u ${UNIT_NAME}`,
    details: { last_lines: report.lines.slice(-FAILURE_LINES) },
  });
}
