/**
 * The file of originals (engine/originals.ts). Entries of another version, in a form that this version
 * does not know, stay in it.
 */
import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import {
  NamedThing,
  ORIGINALS_READER,
  Original,
  Originals,
  type UnknownEntry,
} from '../../protocol/files/host-state.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

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
  const found = await readStateFile(deps, {
    path: deps.places.originalsFile,
    schema: Originals,
    reader: ORIGINALS_READER,
    safe: 'how everything was before is all in it',
    repair:
      'Restore it from a backup. Or remove it: then what an installation has changed here ' +
      'is not put back as it was before',
    limitBytes: FILE_LIMIT_BYTES,
  });
  return found ?? { v: ORIGINALS_READER, originals: [] };
}

async function write(deps: Deps, document: Originals): Promise<void> {
  await deps.files.claimDirectory(deps.places.hostStateDirectory, { mode: 0o700 });
  await writeStateFile(deps, deps.places.originalsFile, document, 0o600);
}
