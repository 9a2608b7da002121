/**
 * Reads a bundle once from its beginning to its end, piece by piece: what is not exactly what its manifest
 * says is refused. Nothing of it is used before that.
 */
import { AgentError } from '../../core/errors.ts';
import type { Files, OpenFile } from '../../core/ports.ts';
import { stateNewer } from '../../core/state-newer.ts';
import {
  BUNDLE_FILE_LIMIT_BYTES,
  BUNDLE_PARTS,
  BUNDLE_READER,
  type BundleFile,
  BundleManifest,
  type BundlePart,
  MANIFEST_NAME,
  RELEASE_PARTS,
  SIGNATURE_NAME,
  SUMS_NAME,
  sumsText,
} from '../../protocol/files/bundle.ts';
import { StateVersion } from '../../protocol/files/host-state.ts';
import { RELEASE_FILE_LIMIT_BYTES, type SignedRelease } from '../../protocol/files/release.ts';
import { runningHash } from '../engine/file-hash.ts';
import { parseJson } from '../engine/parse-json.ts';
import type { FileRange } from '../engine/place-file.ts';
import { allOrNone } from '../release/signed-files.ts';
import {
  BLOCK_BYTES,
  decodeHeader,
  END_BLOCKS_MAX,
  END_BLOCKS_MIN,
  isZero,
  paddingBytes,
  type TarEntry,
} from './tar-entry.ts';

const MANIFEST_LIMIT_BYTES = 1024 * 1024;
const SIGNATURE_LIMIT_BYTES = 64 * 1024;
/** Read and hashed at once. */
const PIECE_BYTES = 512 * 1024;

/** A file in a bundle, where it is and what it is. */
export interface BundledFile extends FileRange {
  readonly name: string;
  readonly sha256: string;
}

/** A bundle that is what it says. */
export interface Bundle {
  readonly path: string;
  readonly sizeBytes: number;
  readonly manifest: BundleManifest;
  readonly file: (part: BundlePart) => BundledFile;
  /** Of the agent's release, not checked yet: host/bundle/signature.ts. */
  readonly signed: SignedRelease | undefined;
}

/**
 * @param update hears how far it is
 * @throws AgentError BUNDLE_INVALID, STATE_NEWER, FILE_ACCESS, INTERRUPTED
 */
export async function verifyBundle(
  files: Files,
  path: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<Bundle> {
  const opened = await files.openFile(path);
  if (opened === undefined) {
    throw new AgentError('FILE_ACCESS', `There is no file ${path}`, {
      hint: 'Check the path; a bundle is made by: pipeops-agent bundle create',
    });
  }
  try {
    const reader = entryReader(opened, path, signal);
    const [manifest, sha256] = await readManifest(reader, path);
    const hashes = new Map([[MANIFEST_NAME, sha256]]);
    const found = new Map<string, BundledFile>();
    const texts = new Map<string, string>();
    for (const [index, wanted] of manifest.files.entries()) {
      update(`${index + 1} of ${manifest.files.length}: ${wanted.name}`);
      found.set(wanted.part, await readFile(reader, path, wanted, texts));
      hashes.set(wanted.name, wanted.sha256);
    }
    await readSums(reader, path, sumsText(hashes));
    await reader.end();
    const file = (part: BundlePart) => known(found, part);
    return { path, sizeBytes: opened.sizeBytes, manifest, file, signed: signedOf(texts) };
  } finally {
    await opened.close();
  }
}

function signedOf(texts: ReadonlyMap<string, string>): SignedRelease | undefined {
  const [manifest, manifestSignature, key, keySignature] = RELEASE_PARTS.map((part) =>
    texts.get(part),
  );
  return allOrNone({ manifest, manifestSignature, key, keySignature });
}

function known(found: ReadonlyMap<string, BundledFile>, part: BundlePart): BundledFile {
  const file = found.get(part);
  if (file === undefined) {
    throw new RangeError(`a manifest has every part of ${BUNDLE_PARTS.join()}`);
  }
  return file;
}

export function invalid(path: string, why: string): AgentError {
  return new AgentError('BUNDLE_INVALID', `Cannot use the bundle ${path}: ${why}`, {
    hint: 'Copy it again and compare both with sha256sum, or make another: pipeops-agent bundle create',
  });
}

/** @returns it, and the hash of its text */
async function readManifest(
  reader: EntryReader,
  path: string,
): Promise<readonly [BundleManifest, string]> {
  const first = await reader.header();
  if (first?.name !== MANIFEST_NAME || first.sizeBytes > MANIFEST_LIMIT_BYTES) {
    throw invalid(path, `it does not begin with a ${MANIFEST_NAME}`);
  }
  const text = await reader.small(first);
  const json = parseJson(text.toString());
  const needs = StateVersion.safeParse(json).data?.v ?? 0;
  if (needs > BUNDLE_READER) {
    throw stateNewer(path, { reader: needs, known: BUNDLE_READER }, 'its program can use it');
  }
  const parsed = BundleManifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(path, `its manifest is wrong at ${issue?.path.join('.') || 'the top'}`);
  }
  const hash = runningHash();
  hash.update(text);
  return [parsed.data, hash.hex()];
}

/** It tells that the manifest itself was damaged on its way. */
async function readSums(reader: EntryReader, path: string, wanted: string): Promise<void> {
  const header = await reader.header();
  if (header?.name !== SUMS_NAME || header.sizeBytes !== wanted.length) {
    throw invalid(path, `where ${SUMS_NAME} should come is something else`);
  }
  if ((await reader.small(header)).toString('latin1') !== wanted) {
    throw invalid(path, `its ${SUMS_NAME} does not fit its manifest`);
  }
}

async function readFile(
  reader: EntryReader,
  path: string,
  { name, part, size_bytes: sizeBytes, sha256 }: BundleFile,
  texts: Map<string, string>,
): Promise<BundledFile> {
  let header = await reader.header();
  if (header?.name === SIGNATURE_NAME && reader.isAfterManifest()) {
    if (header.sizeBytes > SIGNATURE_LIMIT_BYTES) {
      throw invalid(path, `its signature has over ${SIGNATURE_LIMIT_BYTES} bytes`);
    }
    await reader.small(header);
    header = await reader.header();
  }
  if (header === undefined || header.name !== name) {
    throw invalid(path, `where ${name} should come is something else`);
  }
  if (header.sizeBytes !== sizeBytes) {
    throw invalid(path, `${name} has ${header.sizeBytes} bytes and not ${sizeBytes}`);
  }
  const offset = reader.offset();
  const isText = RELEASE_PARTS.some((each) => each === part);
  if (isText && sizeBytes > RELEASE_FILE_LIMIT_BYTES) {
    throw invalid(path, `${name} has over ${RELEASE_FILE_LIMIT_BYTES} bytes`);
  }
  const found = isText
    ? await readText(reader, header, (text) => texts.set(part, text))
    : await reader.hash(header);
  if (found !== sha256) {
    throw invalid(path, `the SHA-256 of ${name} is not the one in its manifest`);
  }
  return { path, name, offset, sizeBytes, sha256 };
}

/** @returns its hash */
async function readText(
  reader: EntryReader,
  header: TarEntry,
  keep: (text: string) => void,
): Promise<string> {
  const bytes = await reader.small(header);
  keep(bytes.toString());
  const hash = runningHash();
  hash.update(bytes);
  return hash.hex();
}

interface EntryReader {
  /** Where the next byte is. */
  offset(): number;
  /** Whether one entry was read so far. */
  isAfterManifest(): boolean;
  /** Of the next entry; undefined at the end, and for what is no entry of a bundle. */
  header(): Promise<TarEntry | undefined>;
  /** The whole of a small entry. */
  small(entry: TarEntry): Promise<Buffer>;
  /** SHA-256 of an entry of any size, in hex. */
  hash(entry: TarEntry): Promise<string>;
  /** Only zeros follow, and not many. */
  end(): Promise<void>;
}

function entryReader(file: OpenFile, path: string, signal: AbortSignal): EntryReader {
  let offset = 0;
  let entries = 0;
  const take = async (length: number): Promise<Uint8Array> => {
    if (signal.aborted) {
      throw new AgentError('INTERRUPTED', `Interrupted while reading ${path}`);
    }
    const bytes = await file.read(offset, length);
    if (bytes.length < length) {
      throw invalid(path, `it ends after ${offset + bytes.length} bytes: it is not whole`);
    }
    offset += length;
    return bytes;
  };
  const pass = async (sizeBytes: number, seen: (piece: Uint8Array) => void) => {
    for (let left = sizeBytes; left > 0; ) {
      const piece = await take(Math.min(left, PIECE_BYTES));
      seen(piece);
      left -= piece.length;
    }
    if (!isZero(await take(paddingBytes(sizeBytes)))) {
      throw invalid(path, 'there is something between its files');
    }
    entries += 1;
  };
  return {
    offset: () => offset,
    isAfterManifest: () => entries === 1,
    header: async () => {
      const entry = decodeHeader(await take(BLOCK_BYTES));
      return entry !== undefined && entry.sizeBytes <= BUNDLE_FILE_LIMIT_BYTES ? entry : undefined;
    },
    small: async ({ sizeBytes }) => {
      const pieces: Uint8Array[] = [];
      await pass(sizeBytes, (piece) => void pieces.push(piece));
      return Buffer.concat(pieces);
    },
    hash: async ({ sizeBytes }) => {
      const hash = runningHash();
      await pass(sizeBytes, hash.update);
      return hash.hex();
    },
    end: async () => {
      const left = file.sizeBytes - offset;
      if (left < END_BLOCKS_MIN * BLOCK_BYTES) {
        throw invalid(path, 'it has no end: it is not whole');
      }
      if (left > END_BLOCKS_MAX * BLOCK_BYTES || !isZero(await take(left))) {
        throw invalid(path, 'something follows its last file');
      }
    },
  };
}
