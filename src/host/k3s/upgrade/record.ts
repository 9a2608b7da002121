/** The record of a change of this machine's k3s, and how the last one ended, in root's own directory. */
import { AgentError } from '../../../core/errors.ts';
import type { Places } from '../../../core/places.ts';
import type { Files } from '../../../core/ports.ts';
import { stateNewer } from '../../../core/state-newer.ts';
import { StateVersion } from '../../../protocol/files/host-state.ts';
import {
  K3S_UPGRADE_READER,
  K3sUpgradeRecord,
  K3sUpgradeResult,
} from '../../../protocol/files/k3s-upgrade.ts';
import { parseJson } from '../../engine/parse-json.ts';

const FILE_MODE = 0o600;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** @returns undefined where none is under way. @throws AgentError STATE_NEWER, FILE_ACCESS where it is damaged */
export async function readK3sUpgrade({
  files,
  places,
}: Deps): Promise<K3sUpgradeRecord | undefined> {
  const path = places.k3sUpgradeFile;
  const text = await files.readText(path);
  if (text === undefined) {
    return undefined;
  }
  const json = parseJson(text);
  const reader = StateVersion.safeParse(json).data?.v ?? 0;
  if (reader > K3S_UPGRADE_READER) {
    const needs = { reader, known: K3S_UPGRADE_READER };
    throw stateNewer(path, needs, 'the version that wrote it goes on');
  }
  const parsed = K3sUpgradeRecord.safeParse(json);
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `${path} is damaged`, {
      hint: 'Remove it, and see which k3s runs: sudo pipeops-agent cluster-info',
    });
  }
  return parsed.data;
}

export async function writeK3sUpgrade(deps: Deps, record: K3sUpgradeRecord): Promise<void> {
  await writeJson(deps, deps.places.k3sUpgradeFile, record);
}

/** The result comes first: whoever finds no record finds a result. */
export async function endK3sUpgrade(deps: Deps, result: K3sUpgradeResult): Promise<void> {
  await writeJson(deps, deps.places.k3sUpgradeResultFile, result);
  await deps.files.remove(deps.places.k3sUpgradeFile);
}

export async function readK3sUpgradeResult({
  files,
  places,
}: Deps): Promise<K3sUpgradeResult | undefined> {
  const text = await files.readText(places.k3sUpgradeResultFile);
  return text === undefined ? undefined : K3sUpgradeResult.safeParse(parseJson(text)).data;
}

async function writeJson({ files }: Deps, path: string, value: unknown): Promise<void> {
  await files.writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { mode: FILE_MODE });
}
