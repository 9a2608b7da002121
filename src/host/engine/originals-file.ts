/**
 * The file of originals (engine/originals.ts). Entries of another version, in a form that this version
 * does not know, stay in it.
 */
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
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

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** Of the whole file. */
const FILE_LIMIT_BYTES = 64 * 1024 * 1024;

/** The originals that this version can put back. @throws AgentError FILE_ACCESS, STATE_NEWER */
export async function readOriginals(deps: Deps): Promise<readonly Original[]> {
  const { originals } = await readDocument(deps);
  return originals.flatMap((each) => Original.safeParse(each).data ?? []);
}

/** The names of the originals that only another version can put back. Their content may be secret. */
export async function readUnknownOriginals(deps: Deps): Promise<readonly UnknownEntry[]> {
  return unknownOf(await readDocument(deps)).map((each) => ({
    kind: 'original',
    name: NamedThing.safeParse(each).data?.name ?? `in ${deps.places.originalsFile}`,
  }));
}

/** @param known replaces all originals that this version knows; the others stay */
export async function writeOriginals(deps: Deps, known: readonly Original[]): Promise<void> {
  const document = await readDocument(deps);
  await write(deps, { ...document, originals: [...unknownOf(document), ...known] });
}

/** Removes the originals that this version knows, after it has put them back. */
export async function endOriginals(deps: Deps): Promise<void> {
  const document = await readDocument(deps);
  const unknown = unknownOf(document);
  if (unknown.length === 0) {
    await deps.files.remove(deps.places.originalsFile);
  } else {
    await write(deps, { ...document, originals: [...unknown] });
  }
}

function unknownOf({ originals }: Originals): readonly unknown[] {
  return originals.filter((each) => !Original.safeParse(each).success);
}

async function readDocument(deps: Deps): Promise<Originals> {
  const text = await deps.files.readText(deps.places.originalsFile, FILE_LIMIT_BYTES);
  if (text === undefined) {
    return { v: ORIGINALS_READER, originals: [] };
  }
  const json = parseJson(text);
  const reader = StateVersion.safeParse(json).data?.v ?? 0;
  if (reader > ORIGINALS_READER) {
    const needs = { reader, known: ORIGINALS_READER };
    throw stateNewer(deps.places.originalsFile, needs, 'how everything was before is all in it');
  }
  const parsed = Originals.safeParse(json);
  if (!parsed.success) {
    throw new AgentError('FILE_ACCESS', `Cannot use ${deps.places.originalsFile}: it is damaged`, {
      hint:
        'Restore it from a backup. Or remove it: then what an installation has changed here ' +
        'is not put back as it was before',
    });
  }
  return parsed.data;
}

async function write(deps: Deps, document: Originals): Promise<void> {
  await deps.files.claimDirectory(deps.places.hostStateDirectory, { mode: 0o700 });
  await deps.files.writeAtomic(
    deps.places.originalsFile,
    `${JSON.stringify(document, null, 2)}\n`,
    {
      mode: 0o600,
    },
  );
}
