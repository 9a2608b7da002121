/** Which images an archive of images holds (`docker save`, or an OCI layout), whatever packs it. */
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { readableOf } from '../../core/readable-of.ts';
import { piecesOf } from '../engine/file-pieces.ts';
import { parseJson } from '../engine/parse-json.ts';

const BLOCK_BYTES = 512;
/** Of the list of images in an archive. */
const LIST_LIMIT_BYTES = 4 * 1024 * 1024;
/** Of all of it, unpacked. */
const UNPACKED_LIMIT_BYTES = 16 * 1024 * 1024 * 1024;
/** Entries with a list: of `docker save`, and of an OCI layout. */
const LISTS = ['manifest.json', 'index.json'];
const PACKINGS: readonly (readonly [string, 'zstd' | 'gzip'])[] = [
  ['.zst', 'zstd'],
  ['.gz', 'gzip'],
];

/**
 * The names of the images in an archive, sorted. It is read once, piece by piece.
 * @throws AgentError DOWNLOAD_CORRUPT where it is no such archive; FILE_ACCESS, INTERRUPTED
 */
export async function imagesIn(
  files: Files,
  path: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const file = await files.openFile(path);
  const lists = new Map<string, unknown>();
  try {
    for await (const { name, text } of listsOf(unpacked(path, piecesOf(file, path, signal)))) {
      lists.set(name, parseJson(text));
    }
  } catch (cause) {
    throw cause instanceof AgentError ? cause : notAnArchive(path, cause);
  } finally {
    await file?.close();
  }
  const names = new Set(LISTS.flatMap((name) => namesIn(lists.get(name))).map(canonicalName));
  if (names.size === 0) {
    throw notAnArchive(path, undefined);
  }
  return [...names].sort();
}

function notAnArchive(path: string, cause: unknown): AgentError {
  return new AgentError('DOWNLOAD_CORRUPT', `${path} is no archive of images`, {
    hint: 'Check what the mirror has under that name',
    cause,
  });
}

function unpacked(
  path: string,
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncIterable<Uint8Array> {
  const packing = PACKINGS.find(([ending]) => path.endsWith(ending))?.[1];
  return packing === undefined
    ? pieces
    : readableOf(pieces).pipeThrough(new DecompressionStream(packing));
}

/** The entries with a list; all others are passed over. */
async function* listsOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly name: string; readonly text: string }> {
  const reader = exactReader(chunks);
  for (;;) {
    const header = Buffer.from(await reader.take(BLOCK_BYTES));
    const end = header.indexOf(0);
    if (end === 0) {
      return;
    }
    const name = header.toString('utf8', 0, end < 0 || end > 100 ? 100 : end).replace(/^\.\//, '');
    const size = sizeOf(header);
    const whole = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (LISTS.includes(name) && size <= LIST_LIMIT_BYTES) {
      const bytes = await reader.take(whole);
      yield { name, text: Buffer.from(bytes.subarray(0, size)).toString() };
    } else {
      await reader.skip(whole);
    }
  }
}

/** In octal, or as GNU tar writes what is longer: a number behind a first byte of 0x80. */
function sizeOf(header: Buffer): number {
  const size =
    header[124] === 0x80
      ? Number(header.readBigUInt64BE(128))
      : Number.parseInt(header.toString('latin1', 124, 136), 8);
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new Error('an entry has no size');
  }
  return size;
}

function exactReader(chunks: AsyncIterable<Uint8Array>) {
  const iterator = chunks[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array();
  let total = 0;
  const more = async () => {
    const { done, value } = await iterator.next();
    if (done === true) {
      throw new Error('it is not whole');
    }
    total += value.length;
    if (total > UNPACKED_LIMIT_BYTES) {
      throw new Error('it is too large');
    }
    return value;
  };
  return {
    take: async (length: number): Promise<Uint8Array> => {
      const parts = [held];
      let has = held.length;
      while (has < length) {
        const next = await more();
        parts.push(next);
        has += next.length;
      }
      const all = parts.length === 1 ? held : Buffer.concat(parts);
      held = all.subarray(length);
      return all.subarray(0, length);
    },
    skip: async (length: number): Promise<void> => {
      let left = length - held.length;
      held = left < 0 ? held.subarray(length) : new Uint8Array();
      while (left > 0) {
        const next = await more();
        held = left < next.length ? next.subarray(left) : new Uint8Array();
        left -= next.length;
      }
    },
  };
}

/** Of `docker save`: [{ RepoTags: [name] }]. Of an OCI layout: names are annotations of its manifests. */
function namesIn(list: unknown): readonly string[] {
  if (Array.isArray(list)) {
    return list.flatMap((each) => stringsOf(propertyOf(each, 'RepoTags')));
  }
  const manifests = propertyOf(list, 'manifests');
  return (Array.isArray(manifests) ? manifests : []).flatMap((each) =>
    stringsOf([propertyOf(propertyOf(each, 'annotations'), 'io.containerd.image.name')]),
  );
}

/** `docker save` leaves out what Docker Hub is called; containerd does not. */
function canonicalName(name: string): string {
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return hasRegistry ? name : `docker.io/${rest.length === 0 ? 'library/' : ''}${name}`;
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function stringsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((each) => typeof each === 'string') : [];
}
