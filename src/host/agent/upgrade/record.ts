/** The record of a change of version, and how the last one ended, in root's own directory. */
import { AgentError } from '../../../core/errors.ts';
import type { Places } from '../../../core/places.ts';
import type { Files } from '../../../core/ports.ts';
import { stateNewer } from '../../../core/state-newer.ts';
import { StateVersion } from '../../../protocol/files/host-state.ts';
import { UPGRADE_READER, UpgradeRecord, UpgradeResult } from '../../../protocol/files/upgrade.ts';
import { parseJson } from '../../engine/parse-json.ts';

const FILE_MODE = 0o644;

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** @returns undefined where none is under way. @throws AgentError STATE_NEWER, FILE_ACCESS where it is damaged */
export async function readRecord({ files, places }: Deps): Promise<UpgradeRecord | undefined> {
  const text = await files.readText(places.upgradeFile);
  if (text === undefined) {
    return undefined;
  }
  const json = parseJson(text);
  const reader = StateVersion.safeParse(json).data?.v ?? 0;
  if (reader > UPGRADE_READER) {
    const needs = { reader, known: UPGRADE_READER };
    throw stateNewer(places.upgradeFile, needs, 'the version that wrote it goes on');
  }
  const parsed = UpgradeRecord.safeParse(json);
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `${places.upgradeFile} is damaged`, {
      hint: 'Remove it, and see which version runs: pipeops-agent status',
    });
  }
  return parsed.data;
}

export async function writeRecord(deps: Deps, record: UpgradeRecord): Promise<void> {
  await writeJson(deps, deps.places.upgradeFile, record);
}

/** To be written before the record goes: whoever finds no record finds a result. */
export async function writeResult(deps: Deps, result: UpgradeResult): Promise<void> {
  await writeJson(deps, deps.places.upgradeResultFile, result);
}

export async function removeRecord({ files, places }: Deps): Promise<void> {
  await files.remove(places.upgradeFile);
}

export async function readResult({ files, places }: Deps): Promise<UpgradeResult | undefined> {
  const text = await files.readText(places.upgradeResultFile);
  return text === undefined ? undefined : UpgradeResult.safeParse(parseJson(text)).data;
}

async function writeJson({ files }: Deps, path: string, value: unknown): Promise<void> {
  await files.writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { mode: FILE_MODE });
}
