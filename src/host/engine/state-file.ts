/** A file of root's own state, which other versions of the agent read and write, too. */
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { stateNewer } from '../../core/state-newer.ts';
import { StateVersion } from '../../protocol/files/host-state.ts';
import { parseJson } from './parse-json.ts';

export interface StateFile<Content> {
  readonly path: string;
  readonly schema: {
    readonly safeParse: (
      json: unknown,
    ) =>
      | { readonly success: true; readonly data: Content }
      | { readonly success: false; readonly data?: undefined };
  };
  /** The newest form that is read here; `v` of the file is the oldest reader that may use it. */
  readonly reader: number;
  /** What a file that only a newer version can read still has, for the person who is told. */
  readonly safe: string;
  /** What to do with one that is damaged. */
  readonly repair: string;
  readonly limitBytes?: number;
}

/** @returns undefined where there is none. @throws AgentError STATE_NEWER, FILE_ACCESS where it is damaged */
export async function readStateFile<Content>(
  { files }: { readonly files: Files },
  { path, schema, reader: known, safe, repair, limitBytes }: StateFile<Content>,
): Promise<Content | undefined> {
  const text = await files.readText(path, limitBytes);
  if (text === undefined) {
    return undefined;
  }
  const json = parseJson(text);
  const reader = StateVersion.safeParse(json).data?.v ?? 0;
  if (reader > known) {
    throw stateNewer(path, { reader, known }, safe);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `Cannot use ${path}: it is damaged`, { hint: repair });
  }
  return parsed.data;
}

/** @param mode of the file: who may read it */
export async function writeStateFile(
  { files }: { readonly files: Files },
  path: string,
  content: unknown,
  mode: number,
): Promise<void> {
  await files.writeAtomic(path, `${JSON.stringify(content, null, 2)}\n`, { mode });
}
