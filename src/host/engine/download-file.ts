/**
 * Downloads of files of any size: they go on where they broke off, from whichever place answers, and are
 * used only when they have the hash that was published.
 */
import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files, GrowingFile, Http } from '../../core/ports.ts';
import { timeLimit } from '../../core/waiting.ts';
import { BadStatus, explainingDownload, openDownload } from './download.ts';
import { hashOfFile, type RunningHash, runningHash } from './file-hash.ts';
import { interrupted } from './interrupted.ts';
import { parseJson } from './parse-json.ts';

/** A connection on which nothing comes for so long is given up. */
const IDLE_LIMIT_MS = 60_000;
/** All tries of one file together. */
const TOTAL_LIMIT_MS = 2 * 60 * 60_000;
/** Tries in a row that brought nothing, for each place. */
const TRIES_MAX = 3;
const PAUSE_MS = 1_000;
/** Progress is told this often. */
const TOLD_EVERY_BYTES = 1024 * 1024;
const PART_FILE_MODE = 0o600;

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
}

export interface FileDownload {
  /** Places of the same file, tried in turn. */
  readonly urls: readonly string[];
  /** Of the whole file, in hex. */
  readonly sha256: string;
  /** A longer file is refused as soon as that is known. */
  readonly limitBytes: number;
  /** Where it is put. What has come so far stands beside it, for the next try or the next run. */
  readonly path: string;
}

/**
 * Puts a file into its place; nothing is asked where it is there already.
 * @param update hears how far it is
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function downloadFile(
  deps: Deps,
  wanted: FileDownload,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await deps.files.makeDirectory(dirname(wanted.path), { mode: 0o700 });
  if ((await hashOfFile(deps.files, wanted.path, signal)) === wanted.sha256) {
    return;
  }
  const limit = timeLimit(deps.clock, TOTAL_LIMIT_MS, signal);
  const failures: AgentError[] = [];
  try {
    for (const url of wanted.urls) {
      const failure = await fromOnePlace(deps, wanted, url, update, limit.signal);
      if (failure === undefined) {
        return;
      }
      if (signal.aborted) {
        throw interrupted(`while downloading ${url}`);
      }
      failures.push(failure);
    }
  } finally {
    limit.end();
  }
  throw allFailed(failures);
}

/** The last place says what to do; the others are told beside it. */
function allFailed(failures: readonly AgentError[]): AgentError {
  const last = failures.at(-1);
  if (last === undefined) {
    throw new RangeError('a download needs a place');
  }
  const before = failures.slice(0, -1).map(({ message }) => message);
  return before.length === 0
    ? last
    : new AgentError(last.code, [...before, last.message].join('; '), {
        hint: last.hint ?? 'Check the places that it names',
        cause: last,
      });
}

/** @returns why it does not come from there; undefined when it came */
async function fromOnePlace(
  deps: Deps,
  wanted: FileDownload,
  url: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<AgentError | undefined> {
  let last: AgentError | undefined;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const before = await partSize(deps.files, wanted.path);
    try {
      await explainingDownload(url, () => oneTry(deps, wanted, url, update, signal));
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof AgentError) || thrown.code === 'DISK_FULL') {
        throw thrown;
      }
      last = thrown;
      const isGone = thrown.cause instanceof BadStatus && thrown.cause.status < 500;
      if (signal.aborted || isGone || (thrown.code === 'DOWNLOAD_CORRUPT' && before === 0)) {
        return last;
      }
    }
    if ((await partSize(deps.files, wanted.path)) > before) {
      tries = -1; // It comes, if slowly: the limit of time ends that.
    }
    await deps.clock.sleep(PAUSE_MS, signal);
  }
  return last;
}

async function oneTry(
  deps: Deps,
  wanted: FileDownload,
  url: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const part = await readPart(deps.files, wanted.path, url, signal);
  // It is given up when nothing comes for that long.
  const idle = timeLimit(deps.clock, IDLE_LIMIT_MS, signal);
  try {
    signal.throwIfAborted();
    const response = await openPart(deps, url, part, idle.signal);
    const isRest = response.status === 206;
    const from = isRest ? part.sizeBytes : 0;
    const hash = isRest ? part.hash : runningHash();
    const totalBytes = checkedTotal(response, url, from, wanted.limitBytes);
    await notePart(deps.files, wanted.path, url, response);
    const file = await deps.files.growFile(partPath(wanted.path), {
      mode: PART_FILE_MODE,
      keeps: isRest,
    });
    const progress = { from, totalBytes, limitBytes: wanted.limitBytes };
    const got = await receive(deps.clock, response, file, {
      ...progress,
      ...{ hash, url, update },
      heard: idle.allow,
    });
    if (totalBytes !== undefined && got < totalBytes) {
      throw new Error(`the connection ended after ${got} of ${totalBytes} bytes`);
    }
    await putInPlace(deps.files, wanted, url, hash);
  } finally {
    idle.end(); // And with it the connection.
  }
}

interface Receiving {
  readonly from: number;
  readonly totalBytes: number | undefined;
  readonly limitBytes: number;
  readonly hash: RunningHash;
  readonly url: string;
  readonly update: (text: string) => void;
  /** Told how long it took until something came. */
  readonly heard: (ms: number) => void;
}

/** @returns the size of the file so far */
async function receive(
  clock: Clock,
  response: Response,
  file: GrowingFile,
  { from, totalBytes, limitBytes, hash, url, update, heard }: Receiving,
): Promise<number> {
  let size = from;
  let told = from;
  let isWhole = false;
  let heardAt = clock.monotonic();
  try {
    for await (const piece of response.body ?? []) {
      const now = clock.monotonic();
      heard(now - heardAt);
      heardAt = now;
      size += piece.length;
      if (size > limitBytes) {
        throw tooLong(url, limitBytes);
      }
      await file.append(piece);
      hash.update(piece);
      if (size - told >= TOLD_EVERY_BYTES) {
        told = size;
        update(howFar(size, totalBytes));
      }
    }
    isWhole = true;
    return size;
  } finally {
    // What was received stays, whatever ended it; only a whole file is worth waiting for the disk.
    await file.close({ sync: isWhole });
  }
}

function howFar(size: number, totalBytes: number | undefined): string {
  const inMegabytes = (bytes: number) => Math.floor(bytes / 1_000_000);
  return totalBytes === undefined
    ? `${inMegabytes(size)} MB`
    : `${inMegabytes(size)} of ${inMegabytes(totalBytes)} MB`;
}

function tooLong(url: string, limitBytes: number): AgentError {
  return new AgentError('DOWNLOAD_CORRUPT', `What ${url} sends is over ${limitBytes} bytes`, {
    hint: 'Check that no proxy or portal answers in its place',
  });
}

async function putInPlace(
  files: Files,
  { path, sha256 }: FileDownload,
  url: string,
  hash: RunningHash,
): Promise<void> {
  const found = hash.hex();
  if (found !== sha256) {
    await forgetPart(files, path);
    throw new AgentError('DOWNLOAD_CORRUPT', `The SHA-256 of ${url} is not the published one`, {
      hint: 'Run the same command again; if it stays so, the mirror or a proxy changes downloads',
      details: { expected: sha256, found },
    });
  }
  await files.rename(partPath(path), path);
  await files.remove(notePath(path));
}

/** What an earlier try has left. */
interface Part {
  readonly sizeBytes: number;
  /** For If-Range (RFC 9110 section 13.1.5): the rest comes only of the same file. */
  readonly validator: string;
  readonly hash: RunningHash;
}

const NO_PART = (): Part => ({ sizeBytes: 0, validator: '', hash: runningHash() });

function partPath(path: string): string {
  return `${path}.part`;
}

function notePath(path: string): string {
  return `${path}.part.json`;
}

async function partSize(files: Files, path: string): Promise<number> {
  return (await files.stat(partPath(path)))?.size ?? 0;
}

async function forgetPart(files: Files, path: string): Promise<void> {
  await files.remove(partPath(path));
  await files.remove(notePath(path));
}

/** Of another place it counts for nothing: whether its file is the same is not known. */
async function readPart(
  files: Files,
  path: string,
  url: string,
  signal: AbortSignal,
): Promise<Part> {
  const note = parseJson((await files.readText(notePath(path))) ?? 'null');
  const isOurs = typeof note === 'object' && note !== null && 'url' in note && note.url === url;
  const validator = isOurs && 'validator' in note ? String(note.validator) : '';
  if (validator === '') {
    return NO_PART();
  }
  const hash = runningHash();
  const sizeBytes = await hash.updateFrom(files, partPath(path), signal);
  return sizeBytes === 0 ? NO_PART() : { sizeBytes, validator, hash };
}

/** Only what identifies the file to the byte: a weak one does not (RFC 9110 section 8.8.1). */
async function notePart(
  files: Files,
  path: string,
  url: string,
  response: Response,
): Promise<void> {
  const etag = response.headers.get('etag') ?? '';
  const strong = etag.startsWith('"') ? etag : '';
  const validator = strong === '' ? (response.headers.get('last-modified') ?? '') : strong;
  await files.writeAtomic(notePath(path), JSON.stringify({ url, validator }), {
    mode: PART_FILE_MODE,
  });
}

async function openPart(
  deps: Deps,
  url: string,
  { sizeBytes, validator }: Part,
  signal: AbortSignal,
): Promise<Response> {
  if (sizeBytes === 0) {
    return openDownload(deps, url, {}, signal);
  }
  const headers = { range: `bytes=${sizeBytes}-`, 'if-range': validator };
  try {
    const response = await openDownload(deps, url, headers, signal);
    const range = response.headers.get('content-range') ?? '';
    if (response.status !== 206 || range.startsWith(`bytes ${sizeBytes}-`)) {
      return response;
    }
    await response.body?.cancel();
  } catch (thrown) {
    // 416: it has no more bytes than we have. From the beginning, then.
    if (!(thrown instanceof BadStatus) || thrown.status !== 416) {
      throw thrown;
    }
  }
  return openDownload(deps, url, {}, signal);
}

/** @returns the size of the whole file, where the answer tells it. @throws AgentError DOWNLOAD_CORRUPT */
function checkedTotal(
  response: Response,
  url: string,
  from: number,
  limitBytes: number,
): number | undefined {
  const length = response.headers.get('content-length');
  const totalBytes = length === null ? undefined : from + Number(length);
  if (totalBytes !== undefined && totalBytes > limitBytes) {
    throw tooLong(url, limitBytes);
  }
  return totalBytes;
}
