/**
 * The note of how things were (engine/originals.ts). What another version has put into it, in a way that
 * is not known here, stays in it.
 */
import { AgentError } from '../../core/errors.ts';
import { HOST_STATE_DIRECTORY, ORIGINALS_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { stateNewer } from '../../core/state-newer.ts';
import {
  NamedThing,
  ORIGINALS_READER,
  Original,
  Originals,
  StateVersion,
  type UnknownEntry,
} from '../../protocol/files/host-state.ts';
import { parseJson } from './parse-json.ts';

/** Of all originals, in JSON. */
const FILE_LIMIT_BYTES = 64 * 1024 * 1024;

/** Those that are known here. @throws AgentError FILE_ACCESS, STATE_NEWER */
export async function readOriginals(files: Files): Promise<readonly Original[]> {
  const { originals } = await readDocument(files);
  return originals.flatMap((each) => Original.safeParse(each).data ?? []);
}

/** What only another version can put back, by its name: what stood there may be a secret. */
export async function readUnknownOriginals(files: Files): Promise<readonly UnknownEntry[]> {
  return unknownOf(await readDocument(files)).map((each) => ({
    kind: 'original',
    name: NamedThing.safeParse(each).data?.name ?? `in ${ORIGINALS_FILE}`,
  }));
}

/** @param known all of those that are known here, from now on */
export async function writeOriginals(files: Files, known: readonly Original[]): Promise<void> {
  const document = await readDocument(files);
  await write(files, { ...document, originals: [...unknownOf(document), ...known] });
}

/** What was known has been put back: the rest is for the version that knows it. */
export async function endOriginals(files: Files): Promise<void> {
  const document = await readDocument(files);
  const unknown = unknownOf(document);
  if (unknown.length === 0) {
    await files.remove(ORIGINALS_FILE);
  } else {
    await write(files, { ...document, originals: [...unknown] });
  }
}

function unknownOf({ originals }: Originals): readonly unknown[] {
  return originals.filter((each) => !Original.safeParse(each).success);
}

async function readDocument(files: Files): Promise<Originals> {
  const text = await files.readText(ORIGINALS_FILE, FILE_LIMIT_BYTES);
  if (text === undefined) {
    return { v: ORIGINALS_READER, originals: [] };
  }
  const json = parseJson(text);
  const reader = StateVersion.safeParse(json).data?.v ?? 0;
  if (reader > ORIGINALS_READER) {
    const needs = { reader, known: ORIGINALS_READER };
    throw stateNewer(ORIGINALS_FILE, needs, 'how everything was before is all in it');
  }
  const parsed = Originals.safeParse(json);
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `Cannot use ${ORIGINALS_FILE}: it is damaged`, {
      hint:
        'Restore it from a backup. Or remove it: then what an installation has changed here ' +
        'is not put back as it was before',
    });
  }
  return parsed.data;
}

async function write(files: Files, document: Originals): Promise<void> {
  await files.claimDirectory(HOST_STATE_DIRECTORY, { mode: 0o700 });
  await files.writeAtomic(ORIGINALS_FILE, `${JSON.stringify(document, null, 2)}\n`, {
    mode: 0o600,
  });
}
