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
  /** Of the version's directory, without a slash at its end. */
  readonly url: string;
  /** `linux-x64`. */
  readonly platform: string;
  /** Where what has come stands until it is whole. */
  readonly downloadDirectory: string;
  /** The program's place. */
  readonly path: string;
}

/**
 * @param update hears how far it is
 * @throws AgentError RELEASE_REFUSED, RELEASE_UNTRUSTED, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function stageRelease(
  deps: Deps,
  { manifest, signed, url, platform, downloadDirectory, path }: Staging,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { files } = deps;
  const program = listedFile(manifest, `pipeops-agent-${platform}`);
  const packed = listedFile(manifest, `${program.name}.gz`);
  if ((await hashOfFile(files, path, signal)) !== program.sha256) {
    await refuseFullDisk(files, dirname(dirname(path)), program.size + packed.size);
    const to = `${downloadDirectory}/${manifest.version}-${packed.name}`;
    const wanted = { urls: [`${url}/${packed.name}`], sha256: packed.sha256, path: to };
    await downloadFile(deps, { ...wanted, limitBytes: packed.size }, update, signal);
    update('unpacking');
    await files.claimDirectory(dirname(path), { mode: PROGRAM_MODE });
    await unpack(files, to, path, program, signal);
    await files.remove(to);
  }
  await writeSignedRelease(files, dirname(path), signed);
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
