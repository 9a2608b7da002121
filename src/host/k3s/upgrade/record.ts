/** The record of a change of this machine's k3s, and how the last one ended, in root's own directory. */
import type { Places } from '../../../core/places.ts';
import type { Files } from '../../../core/ports.ts';
import {
  K3S_UPGRADE_READER,
  K3sUpgradeRecord,
  K3sUpgradeResult,
} from '../../../protocol/files/k3s-upgrade.ts';
import { parseJson } from '../../engine/parse-json.ts';
import { readStateFile, writeStateFile } from '../../engine/state-file.ts';

const FILE_MODE = 0o600;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** @returns undefined where none is under way. @throws AgentError STATE_NEWER, FILE_ACCESS where it is damaged */
export function readK3sUpgrade(deps: Deps): Promise<K3sUpgradeRecord | undefined> {
  return readStateFile(deps, {
    path: deps.places.k3sUpgradeFile,
    schema: K3sUpgradeRecord,
    reader: K3S_UPGRADE_READER,
    safe: 'the version that wrote it goes on',
    repair: 'Remove it, and see which k3s runs: sudo pipeops-agent cluster-info',
  });
}

export async function writeK3sUpgrade(deps: Deps, record: K3sUpgradeRecord): Promise<void> {
  await writeStateFile(deps, deps.places.k3sUpgradeFile, record, FILE_MODE);
}

/** The result comes first: whoever finds no record finds a result. */
export async function endK3sUpgrade(deps: Deps, result: K3sUpgradeResult): Promise<void> {
  await writeStateFile(deps, deps.places.k3sUpgradeResultFile, result, FILE_MODE);
  await deps.files.remove(deps.places.k3sUpgradeFile);
}

export async function readK3sUpgradeResult({
  files,
  places,
}: Deps): Promise<K3sUpgradeResult | undefined> {
  const text = await files.readText(places.k3sUpgradeResultFile);
  return text === undefined ? undefined : K3sUpgradeResult.safeParse(parseJson(text)).data;
}
