/** Puts the program of a release beside the installed one, whole and verified; nothing is switched by it. */
import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { readableOf } from '../../core/readable-of.ts';
import type { ReleaseFile, ReleaseManifest, SignedRelease } from '../../protocol/files/release.ts';
import { downloadFile } from '../engine/download-file.ts';
import { hashOfFile, runningHash } from '../engine/file-hash.ts';
import { piecesOf } from '../engine/file-pieces.ts';
import { writeSignedRelease } from './signed-files.ts';
import { checkListed, listedFile } from './verify.ts';

const PROGRAM_MODE = 0o755;
/** Left for everything else on the disk. */
const SPARE_BYTES = 64 * 1024 * 1024;

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
}

export interface Staging {
  readonly manifest: ReleaseManifest;
  readonly signed: SignedRelease;
  /** `linux-x64`. */
  readonly platform: string;
  /** The program's place. */
  readonly path: string;
}

/** Where it comes from, and where what has come stands until it is whole. */
export interface Fetching {
  /** Of the version's directory, without a slash at its end. */
  readonly url: string;
  /** Of the packed program. */
  readonly to: string;
}

/** Where the packed program of a version stands in a directory of downloads. */
export function packedPath(directory: string, version: string, platform: string): string {
  return `${directory}/${version}-pipeops-agent-${platform}.gz`;
}

/**
 * @param update hears how far it is
 * @throws AgentError RELEASE_REFUSED, RELEASE_UNTRUSTED, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function stageRelease(
  deps: Deps,
  staging: Staging,
  fetching: Fetching,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { files } = deps;
  const { manifest, signed, platform, path } = staging;
  if (await isPlaced(files, staging, signal)) {
    await writeSignedRelease(files, dirname(path), signed);
    return;
  }
  const program = listedFile(manifest, `pipeops-agent-${platform}`);
  await refuseFullDisk(files, dirname(dirname(path)), program.size + packedSize(staging));
  await fetchPacked(deps, staging, fetching, update, signal);
  update('unpacking');
  await placeRelease(files, staging, fetching.to, signal);
  await files.remove(fetching.to);
}

/**
 * Fetches the packed program of a release.
 * @throws AgentError RELEASE_REFUSED, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function fetchPacked(
  deps: Deps,
  { manifest, platform }: Pick<Staging, 'manifest' | 'platform'>,
  { url, to }: Fetching,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const packed = listedFile(manifest, `pipeops-agent-${platform}.gz`);
  const wanted = { urls: [`${url}/${packed.name}`], sha256: packed.sha256, path: to };
  await downloadFile(deps, { ...wanted, limitBytes: packed.size }, update, signal);
}

/**
 * Unpacks a program into its place. What is written there is compared with what was signed, so the packed one may
 * come from anybody.
 * @throws AgentError RELEASE_REFUSED, RELEASE_UNTRUSTED, FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function placeRelease(
  files: Files,
  staging: Staging,
  packed: string,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, signed, platform, path } = staging;
  if (!(await isPlaced(files, staging, signal))) {
    const program = listedFile(manifest, `pipeops-agent-${platform}`);
    await refuseFullDisk(files, dirname(dirname(path)), program.size);
    await files.claimDirectory(dirname(path), { mode: PROGRAM_MODE });
    await unpack(files, packed, path, program, signal);
  }
  await writeSignedRelease(files, dirname(path), signed);
}

async function isPlaced(
  files: Files,
  { manifest, platform, path }: Staging,
  signal: AbortSignal,
): Promise<boolean> {
  const program = listedFile(manifest, `pipeops-agent-${platform}`);
  return (await hashOfFile(files, path, signal)) === program.sha256;
}

function packedSize({ manifest, platform }: Staging): number {
  return listedFile(manifest, `pipeops-agent-${platform}.gz`).size;
}

async function refuseFullDisk(files: Files, directory: string, neededBytes: number) {
  const { freeBytes } = await files.diskSpace(directory);
  if (freeBytes < neededBytes + SPARE_BYTES) {
    const megabytes = (bytes: number) => Math.ceil(bytes / 1_000_000);
    throw new AgentError(
      'DISK_FULL',
      `The new version needs ${megabytes(neededBytes + SPARE_BYTES)} MB, and ${megabytes(freeBytes)} MB are free`,
      { hint: `Free some space on the disk of ${directory}, then run the same command again` },
    );
  }
}

async function unpack(
  files: Files,
  from: string,
  path: string,
  program: ReleaseFile,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${path}.partial`;
  const hash = runningHash();
  let sizeBytes = 0;
  const packed = await files.openFile(from);
  try {
    const target = await files.growFile(partial, { mode: PROGRAM_MODE, keeps: false });
    try {
      const pieces = readableOf(piecesOf(packed, from, signal));
      for await (const piece of pieces.pipeThrough(new DecompressionStream('gzip'))) {
        sizeBytes += piece.length;
        if (sizeBytes > program.size) {
          break; // Its size tells.
        }
        hash.update(piece);
        await target.append(piece);
      }
    } finally {
      await target.close({ sync: true });
    }
    checkListed(program, { path: from, sizeBytes, sha256: hash.hex() });
    await files.changeMode(partial, PROGRAM_MODE);
    await files.rename(partial, path);
  } catch (thrown) {
    await files.remove(partial);
    throw thrown;
  } finally {
    await packed?.close();
  }
}
