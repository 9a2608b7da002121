/** A person holds the version of this machine: pinned to one, or for some time against the control plane. */
import { AgentError } from '../../../core/errors.ts';
import type { Places } from '../../../core/places.ts';
import type { Clock, Files } from '../../../core/ports.ts';
import { UpgradeHold } from '../../../protocol/files/upgrade-hold.ts';
import { parseJson } from '../../engine/parse-json.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

const NO_HOLD: UpgradeHold = { v: 1, pin: null, paused_until: null };

/** @throws AgentError FILE_ACCESS, also where it cannot be understood: what was meant must not get lost */
export async function readHold({ files, places }: Deps): Promise<UpgradeHold> {
  const text = await files.readText(places.upgradeHoldFile);
  if (text === undefined) {
    return NO_HOLD;
  }
  const parsed = UpgradeHold.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `${places.upgradeHoldFile} cannot be understood`, {
      hint: 'Say anew what is meant: sudo pipeops-agent upgrade --pin VERSION, or --unpin',
    });
  }
  return parsed.data;
}

/** @param changed `{ pin: null }`, `{ paused_until: null }` take a hold away */
export async function changeHold(
  deps: Deps,
  changed: Partial<Omit<UpgradeHold, 'v'>>,
): Promise<UpgradeHold> {
  const before = await readHold(deps).catch(() => NO_HOLD); // What cannot be understood is said anew.
  const next = { ...before, ...changed };
  const { upgradeHoldFile } = deps.places;
  await deps.files.writeAtomic(upgradeHoldFile, `${JSON.stringify(next)}\n`, { mode: 0o600 });
  return next;
}

/** @throws AgentError UPGRADE_HELD where this machine is pinned to another version */
export function requireUnpinned({ pin }: UpgradeHold, version: string): void {
  if (pin !== null && pin !== version) {
    throw new AgentError('UPGRADE_HELD', `This machine is pinned to ${pin}`, {
      hint: 'To let other versions come, run there: sudo pipeops-agent upgrade --unpin',
    });
  }
}

/** @throws AgentError UPGRADE_HELD while upgrades by the control plane are paused */
export function requireUnpaused({ paused_until: until }: UpgradeHold, clock: Clock): void {
  if (until !== null && clock.now().getTime() < Date.parse(until)) {
    throw new AgentError(
      'UPGRADE_HELD',
      `Upgrades by the control plane are paused until ${until}`,
      {
        hint: 'To end that, run there: sudo pipeops-agent upgrade --pause 0s',
      },
    );
  }
}

/** For people; undefined where nothing is held. */
export function holdText({ pin, paused_until: until }: UpgradeHold, now: Date): string | undefined {
  const isPaused = until !== null && now.getTime() < Date.parse(until);
  const parts = [
    ...(pin === null ? [] : [`pinned to ${pin}`]),
    ...(isPaused ? [`paused for the control plane until ${until}`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
