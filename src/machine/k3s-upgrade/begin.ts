/** Begins the upgrade of this machine's k3s, and follows it to its end. */
import { AgentError } from '../../core/errors.ts';
import { K3S_UPGRADE_PATH_UNIT, K3S_UPGRADE_SERVICE_UNIT } from '../../core/places.ts';
import { pollUntil } from '../../core/waiting.ts';
import {
  activeState,
  forgetFailure,
  isStartedOrStarting,
  systemctl,
} from '../../host/engine/systemctl.ts';
import {
  readK3sUpgrade,
  readK3sUpgradeResult,
  writeK3sUpgrade,
} from '../../host/k3s/upgrade/record.ts';
import {
  K3S_UPGRADE_READER,
  type K3sUpgradeRecord,
  type K3sUpgradeResult,
} from '../../protocol/files/k3s-upgrade.ts';
import type { MachineContext } from '../context.ts';
import type { K3sUpgradePlan } from './plan.ts';
import { STEP_WORDS } from './step-words.ts';

const LOOK_INTERVAL_MS = 500;
/** Moving the pods, a download and both versions may each take their time. */
const FOLLOW_LIMIT_MS = 60 * 60_000;
const LOOK = `journalctl -u ${K3S_UPGRADE_SERVICE_UNIT}`;

/**
 * Writes the record, which starts the unit. Nothing where this very change is under way.
 * @throws AgentError BUSY while another one is; NOT_INSTALLED where the unit is not there
 */
export async function beginK3sUpgrade(
  context: MachineContext,
  id: string,
  { from, to, role, node, drains }: K3sUpgradePlan,
): Promise<void> {
  const { clock, files, places } = context;
  if ((await files.stat(places.k3sUpgradeServiceUnitFile)) === undefined) {
    throw new AgentError('NOT_INSTALLED', 'The unit that upgrades k3s is not on this machine', {
      hint: 'An older version has installed it; run once: sudo pipeops-agent install (or join)',
    });
  }
  const record = await readK3sUpgrade(context);
  if (record !== undefined && record.id !== id) {
    throw underWay(record);
  }
  if (record === undefined) {
    await writeK3sUpgrade(context, {
      ...{ v: K3S_UPGRADE_READER, id, from, to, role, node, drains },
      ...{ step: 'fetch', judged: 0, served: false, took_pods: null },
      ...{ sha256: null, snapshot: null, outcome: null, why: null },
      began: clock.now().toISOString(),
    });
  }
}

/** @throws AgentError BUSY while one is under way. One that nobody goes on with is none */
export async function refuseDuringK3sUpgrade(context: MachineContext): Promise<void> {
  const record = await readK3sUpgrade(context);
  if (record !== undefined && (await isStartedOrStarting(context, K3S_UPGRADE_SERVICE_UNIT))) {
    throw underWay(record);
  }
}

function underWay({ to }: K3sUpgradeRecord): AgentError {
  return new AgentError('BUSY', `The upgrade of k3s to ${to} is under way`, {
    hint: `Wait for its end, which comes by itself: ${LOOK}`,
  });
}

/** The unit of the path starts it as well, and does so after a restart of the machine. @throws AgentError TOOL_FAILED */
export async function startK3sUpgrade(context: MachineContext): Promise<void> {
  // Starts of a change that was given up count, too (systemd.unit(5), "StartLimitIntervalSec").
  await forgetFailure(context, K3S_UPGRADE_SERVICE_UNIT);
  await forgetFailure(context, K3S_UPGRADE_PATH_UNIT);
  await systemctl(context, 'start', '--no-block', K3S_UPGRADE_SERVICE_UNIT);
}

/**
 * Comes back when the new version runs. It goes on by itself when this process ends.
 * @throws AgentError UPGRADE_FAILED with what became of it, INTERRUPTED
 */
export async function followK3sUpgrade(
  context: MachineContext,
  id: string,
  { from, to }: Pick<K3sUpgradePlan, 'from' | 'to'>,
): Promise<K3sUpgradeResult> {
  const progress = await context.progress(`Upgrade k3s from ${from} to ${to}`);
  try {
    const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: FOLLOW_LIMIT_MS };
    const end = await pollUntil(context.clock, pace, context.signal, async () => {
      const record = await readK3sUpgrade(context);
      const result = record === undefined ? await readK3sUpgradeResult(context) : undefined;
      if (result?.id === id) {
        return { found: result };
      }
      progress.update(record === undefined ? 'starting' : STEP_WORDS[record.step]);
      const isGivenUp = (await activeState(context, K3S_UPGRADE_SERVICE_UNIT)) === 'failed';
      return isGivenUp ? { found: undefined } : { soFar: undefined };
    });
    if (end.kind === 'aborted') {
      throw new AgentError('INTERRUPTED', 'Interrupted; the upgrade of k3s goes on by itself', {
        hint: `See how it ends: ${LOOK}`,
      });
    }
    if (end.kind !== 'found' || end.found === undefined) {
      throw new AgentError('UPGRADE_FAILED', 'The upgrade of k3s has not ended', {
        hint: `See why: ${LOOK}; mend that, then run the same command again`,
      });
    }
    refuseFailure(end.found);
    progress.done();
    return end.found;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

function refuseFailure({ outcome, from, to, why, snapshot }: K3sUpgradeResult): void {
  const details = { outcome, why, snapshot };
  switch (outcome) {
    case 'done':
      return;
    case 'unchanged':
      throw new AgentError('UPGRADE_FAILED', `k3s ${from} runs as before: ${why}`, {
        hint: 'Mend what it names, then run the same command again. Pods that cannot move may run on: --no-drain',
        details,
      });
    case 'went-back':
      throw new AgentError(
        'UPGRADE_FAILED',
        `k3s ${to} was not well here, and ${from} runs again: ${why}`,
        { hint: 'See what it said: journalctl -u k3s (on a worker k3s-agent)', details },
      );
    case 'stuck':
      throw new AgentError('UPGRADE_FAILED', `k3s is not well: ${why}`, {
        hint: `Mend it: sudo pipeops-agent doctor. To go back: docs/UPGRADE.md, "Back to the k3s of before"${
          snapshot === null ? '' : `, with the snapshot ${snapshot}`
        }`,
        details,
      });
  }
}
