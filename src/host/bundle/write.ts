/** Makes a bundle of files that are on this machine. */
import { AgentError } from '../../core/errors.ts';
import type { Files, GrowingFile } from '../../core/ports.ts';
import {
  BUNDLE_READER,
  type BundleFile,
  type BundleManifest,
  type BundlePart,
  MANIFEST_NAME,
  type ReleasePart,
  SUMS_NAME,
  sumsText,
} from '../../protocol/files/bundle.ts';
import { runningHash } from '../engine/file-hash.ts';
import { interrupted } from '../engine/interrupted.ts';
import { BLOCK_BYTES, END_BLOCKS_MIN, encodeHeader, paddingBytes } from './tar-entry.ts';

/** Copied at once. */
const PIECE_BYTES = 512 * 1024;
const BUNDLE_MODE = 0o644;

export interface BundleSource {
  readonly part: BundlePart | ReleasePart;
  readonly name: string;
  /** Where it is on this machine. */
  readonly path: string;
}

export interface BundleContent extends Pick<BundleManifest, 'architecture' | 'agent' | 'k3s'> {
  readonly images: readonly string[];
  readonly created: Date;
  readonly sources: readonly BundleSource[];
}

/**
 * Writes a bundle: it stands there as a whole or not at all.
 * @param update hears how far it is
 * @throws AgentError FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function writeBundle(
  files: Files,
  path: string,
  content: BundleContent,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<BundleManifest> {
  const { sources, created, images, ...about } = content;
  const described: BundleFile[] = [];
  for (const source of sources) {
    update(`reading ${source.name}`);
    described.push(await describe(files, source, signal));
  }
  const manifest = {
    v: BUNDLE_READER,
    created: created.toISOString(),
    ...about,
    images: [...images],
    files: described,
  };
  const modifiedAt = Math.floor(created.getTime() / 1_000);
  const partial = `${path}.partial`;
  const target = await files.growFile(partial, { mode: BUNDLE_MODE, keeps: false });
  try {
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await writeText(target, MANIFEST_NAME, text, modifiedAt);
    for (const [index, source] of sources.entries()) {
      update(`writing ${source.name}`);
      const size = described[index]?.size_bytes ?? 0;
      await beginEntry(target, source.name, size, modifiedAt);
      await copy(files, source, size, target, signal);
      await target.append(new Uint8Array(paddingBytes(size)));
    }
    await writeText(target, SUMS_NAME, sumsOf(text, described), modifiedAt);
    await target.append(new Uint8Array(END_BLOCKS_MIN * BLOCK_BYTES));
    await target.close({ sync: true });
    await files.rename(partial, path);
    return manifest;
  } catch (thrown) {
    await target.close().catch(() => undefined);
    await files.remove(partial);
    throw thrown;
  }
}

async function writeText(
  target: GrowingFile,
  name: string,
  text: string,
  modifiedAt: number,
): Promise<void> {
  const bytes = Buffer.from(text);
  await beginEntry(target, name, bytes.length, modifiedAt);
  await target.append(bytes);
  await target.append(new Uint8Array(paddingBytes(bytes.length)));
}

function sumsOf(manifest: string, files: readonly BundleFile[]): string {
  const hash = runningHash();
  hash.update(Buffer.from(manifest));
  const others = files.map(({ name, sha256 }) => [name, sha256] as const);
  return sumsText([[MANIFEST_NAME, hash.hex()], ...others]);
}

async function describe(
  files: Files,
  { part, name, path }: BundleSource,
  signal: AbortSignal,
): Promise<BundleFile> {
  const hash = runningHash();
  const size_bytes = await hash.updateFrom(files, path, signal);
  return { name, part, size_bytes, sha256: hash.hex() };
}

async function beginEntry(
  target: GrowingFile,
  name: string,
  sizeBytes: number,
  modifiedAt: number,
): Promise<void> {
  const isProgram = name === 'pipeops-agent' || /^k3s(-[a-z0-9]+)?$/.test(name);
  await target.append(encodeHeader({ name, sizeBytes, isProgram, modifiedAt }));
}

async function copy(
  files: Files,
  { path }: BundleSource,
  sizeBytes: number,
  target: GrowingFile,
  signal: AbortSignal,
): Promise<void> {
  const source = await files.openFile(path);
  try {
    for (let done = 0; done < sizeBytes; ) {
      if (signal.aborted) {
        throw interrupted(`while copying ${path}`);
      }
      const wanted = Math.min(PIECE_BYTES, sizeBytes - done);
      const piece = (await source?.read(done, wanted)) ?? new Uint8Array();
      if (piece.length === 0) {
        throw new AgentError('FILE_ACCESS', `${path} became shorter while it was read`, {
          hint: 'Let nothing change it, then run the same command again',
        });
      }
      await target.append(piece);
      done += piece.length;
    }
  } finally {
    await source?.close();
  }
}
