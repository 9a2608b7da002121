/** The four signed texts of a release: where they stand on a machine, and how they are fetched. */
import type { Clock, Files, Http } from '../../core/ports.ts';
import {
  channelFileNames,
  RELEASE_FILE_LIMIT_BYTES,
  RELEASE_FILE_NAMES,
  type SignedRelease,
} from '../../protocol/files/release.ts';
import { downloadText } from '../engine/download.ts';

const FILE_MODE = 0o644;
const PARTS = Object.keys(RELEASE_FILE_NAMES) as (keyof SignedRelease)[];

/** By the names of their files. */
export function signedTexts(
  signed: SignedRelease,
): readonly (readonly [name: string, text: string])[] {
  return PARTS.map((part) => [RELEASE_FILE_NAMES[part], signed[part]] as const);
}

/**
 * @param url of the directory of a version, without a slash at its end
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT when one is too long
 */
export async function fetchSignedRelease(
  deps: { readonly clock: Clock; readonly http: Http },
  url: string,
  signal: AbortSignal,
): Promise<SignedRelease> {
  return await collect(RELEASE_FILE_NAMES, (name) =>
    downloadText(deps, `${url}/${name}`, RELEASE_FILE_LIMIT_BYTES, signal),
  );
}

/**
 * The newest release of a channel.
 * @param base of all releases, without a slash at its end
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT when one is too long
 */
export async function fetchChannel(
  deps: { readonly clock: Clock; readonly http: Http },
  base: string,
  channel: string,
  signal: AbortSignal,
): Promise<SignedRelease> {
  return await collect(channelFileNames(channel), (name) =>
    downloadText(deps, `${base}/${name}`, RELEASE_FILE_LIMIT_BYTES, signal),
  );
}

/** What stands in a directory; undefined unless all four are there. @throws AgentError FILE_ACCESS */
export async function readSignedRelease(
  files: Files,
  directory: string,
): Promise<SignedRelease | undefined> {
  const found = await collect(RELEASE_FILE_NAMES, (name) =>
    files.readText(`${directory}/${name}`, RELEASE_FILE_LIMIT_BYTES),
  );
  return allOrNone(found);
}

/**
 * The same where others may have put anything: a pipe, a link, a file without an end.
 * @throws AgentError FILE_ACCESS
 */
export async function readStrangersRelease(
  files: Files,
  directory: string,
): Promise<SignedRelease | undefined> {
  const found = await collect(RELEASE_FILE_NAMES, async (name) => {
    const file = await files.openFile(`${directory}/${name}`);
    try {
      return file && Buffer.from(await file.read(0, RELEASE_FILE_LIMIT_BYTES)).toString();
    } finally {
      await file?.close();
    }
  });
  return allOrNone(found);
}

/** Less than all four is nothing. */
export function allOrNone(
  found: Readonly<Record<keyof SignedRelease, string | undefined>>,
): SignedRelease | undefined {
  const { manifest, manifestSignature, key, keySignature } = found;
  return manifest === undefined ||
    manifestSignature === undefined ||
    key === undefined ||
    keySignature === undefined
    ? undefined
    : { manifest, manifestSignature, key, keySignature };
}

/** @throws AgentError FILE_ACCESS, DISK_FULL */
export async function writeSignedRelease(
  files: Files,
  directory: string,
  signed: SignedRelease,
): Promise<void> {
  for (const [name, text] of signedTexts(signed)) {
    await files.writeAtomic(`${directory}/${name}`, text, { mode: FILE_MODE });
  }
}

async function collect<T>(
  names: Readonly<Record<keyof SignedRelease, string>>,
  read: (name: string) => Promise<T>,
): Promise<Record<keyof SignedRelease, T>> {
  const [manifest, manifestSignature, key, keySignature] = await Promise.all([
    read(names.manifest),
    read(names.manifestSignature),
    read(names.key),
    read(names.keySignature),
  ]);
  return { manifest, manifestSignature, key, keySignature };
}
