/** The record of a change of version, and how the last one ended, in root's own directory. */
import type { Places } from '../../../core/places.ts';
import type { Files } from '../../../core/ports.ts';
import { UPGRADE_READER, UpgradeRecord, UpgradeResult } from '../../../protocol/files/upgrade.ts';
import { parseJson } from '../../engine/parse-json.ts';
import { readStateFile, writeStateFile } from '../../engine/state-file.ts';

const FILE_MODE = 0o644;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** @returns undefined where none is under way. @throws AgentError STATE_NEWER, FILE_ACCESS where it is damaged */
export function readRecord(deps: Deps): Promise<UpgradeRecord | undefined> {
  return readStateFile(deps, {
    path: deps.places.upgradeFile,
    schema: UpgradeRecord,
    reader: UPGRADE_READER,
    safe: 'the version that wrote it goes on',
    repair: 'Remove it, and see which version runs: pipeops-agent status',
  });
}

export async function writeRecord(deps: Deps, record: UpgradeRecord): Promise<void> {
  await writeStateFile(deps, deps.places.upgradeFile, record, FILE_MODE);
}

/** To be written before the record goes: whoever finds no record finds a result. */
export async function writeResult(deps: Deps, result: UpgradeResult): Promise<void> {
  await writeStateFile(deps, deps.places.upgradeResultFile, result, FILE_MODE);
}

export async function removeRecord({ files, places }: Deps): Promise<void> {
  await files.remove(places.upgradeFile);
}

export async function readResult({ files, places }: Deps): Promise<UpgradeResult | undefined> {
  const text = await files.readText(places.upgradeResultFile);
  return text === undefined ? undefined : UpgradeResult.safeParse(parseJson(text)).data;
}
