import unitText from '../../systemd/pipeops-agent.service' with { type: 'text' };
import type { Exec, Files } from '../core/ports.ts';
import { type HostInventory, recordNew } from './inventory.ts';
import { APPLIED_FILE, UNIT_FILE, UNIT_NAME } from './paths.ts';
import type { Step } from './steps.ts';
import { isActive, isEnabled, systemctl } from './systemctl.ts';

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
    isDone: async () => (await deps.files.readText(UNIT_FILE)) === unitText,
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
 * @param reads everything of that kind: version, configuration, whether there is a token
 */
export function startAgent(deps: Deps, reads: readonly string[]): Step {
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
      await systemctl(deps, 'enable', '--quiet', UNIT_NAME);
      await systemctl(deps, 'restart', UNIT_NAME);
      await deps.files.writeAtomic(APPLIED_FILE, fingerprint, { mode: 0o600 });
    },
  };
}
