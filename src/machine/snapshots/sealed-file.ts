/**
 * The file of a snapshot. A line of JSON, then frames: four bytes of length (big-endian) and so many bytes
 * of AES-256-GCM. The first frame holds the secrets, and is bound to the header; each further one a
 * piece of the data, packed by zstd; the last one is empty. The key is made anew for each file (HKDF-SHA256 of the
 * key of snapshots and the salt in the header), so that the number of a frame can be its nonce; its last
 * byte says whether more comes, as in STREAM (eprint.iacr.org/2015/189). So a file that was changed, cut or
 * put together is not opened.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { AgentError } from '../../core/errors.ts';
import type { Files, GrowingFile, OpenFile } from '../../core/ports.ts';
import {
  SNAPSHOT_HEADER_BYTES_MAX,
  SnapshotHeader,
  SnapshotSecrets,
} from '../../protocol/files/snapshot.ts';
import { snapshotKeyId } from '../../protocol/secrets/snapshot-key.ts';

/** Of data in one frame. */
const PIECE_BYTES = 1024 * 1024;
/** What zstd makes of a piece may be a little longer; then the tag. */
const FRAME_BYTES_MAX = PIECE_BYTES + 64 * 1024;
const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const PURPOSE = 'pipeops-agent snapshot 1';
/** Data of a datastore are text for the most part: the fastest level halves them. */
const ZSTD_LEVEL = 1;

interface Deps {
  readonly files: Files;
}

/**
 * Seals a file.
 * @param to is written anew, 0600, and complete on the disk when this resolves
 * @returns SHA-256 of the data
 * @throws AgentError DISK_FULL, FILE_ACCESS
 */
export async function sealFile(
  deps: Deps,
  from: string,
  to: string,
  content: { readonly header: SnapshotHeader; readonly secrets: SnapshotSecrets },
  key: Uint8Array,
): Promise<string> {
  const line = Buffer.from(`${JSON.stringify(content.header)}\n`);
  const source = await opened(deps, from);
  let target: GrowingFile | undefined;
  try {
    target = await deps.files.growFile(to, { mode: 0o600, keeps: false });
    const seal = sealing(fileKey(key, content.header), target);
    await target.append(line);
    await seal(Buffer.from(JSON.stringify(content.secrets)), line);
    const digest = new Bun.CryptoHasher('sha256');
    for (let offset = 0; offset < source.sizeBytes; offset += PIECE_BYTES) {
      const piece = await source.read(offset, PIECE_BYTES);
      digest.update(piece);
      await seal(Bun.zstdCompressSync(piece, { level: ZSTD_LEVEL }));
    }
    await seal(undefined);
    await target.close({ sync: true });
    return digest.digest('hex');
  } catch (thrown) {
    await target?.close().catch(() => undefined);
    throw thrown;
  } finally {
    await source.close();
  }
}

/** @param key of the file */
function sealing(key: Uint8Array, target: GrowingFile) {
  let number = 0;
  /** @param bytes undefined: the last frame */
  return async (bytes: Uint8Array | undefined, boundTo?: Uint8Array) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number, bytes === undefined));
    if (boundTo !== undefined) {
      cipher.setAAD(boundTo);
    }
    const parts = [cipher.update(bytes ?? new Uint8Array()), cipher.final()];
    const frame = Buffer.concat([...parts, cipher.getAuthTag()]);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(frame.length);
    await target.append(Buffer.concat([length, frame]));
    number += 1;
  };
}

export interface OpenedSnapshot {
  readonly header: SnapshotHeader;
  readonly secrets: SnapshotSecrets;
  /** SHA-256 of the data. */
  readonly sha256: string;
}

/**
 * Opens a snapshot to its end.
 * @param to where the data are written; undefined: they are only read
 * @throws AgentError SNAPSHOT_INVALID, NOT_FOUND, DISK_FULL, FILE_ACCESS
 */
export async function openSnapshot(
  deps: Deps,
  from: string,
  to: string | undefined,
  key: Uint8Array,
): Promise<OpenedSnapshot> {
  const source = await opened(deps, from);
  let target: GrowingFile | undefined;
  try {
    const { header, line } = await headerOf(source, from);
    if (header.key_id !== snapshotKeyId(key)) {
      throw invalid(from, `another key opens it: ${header.key_id}`);
    }
    target =
      to === undefined ? undefined : await deps.files.growFile(to, { mode: 0o600, keeps: false });
    const frames = framesOf(source, from, line, fileKey(key, header));
    const first = await frames.next();
    const secrets = SnapshotSecrets.safeParse(
      jsonOf(first.done === true ? undefined : first.value),
    );
    if (!secrets.success) {
      throw invalid(from, 'the token in it cannot be read');
    }
    const digest = new Bun.CryptoHasher('sha256');
    let size = 0;
    for await (const packed of frames) {
      const piece = unpacked(from, packed);
      digest.update(piece);
      size += piece.length;
      await target?.append(piece);
    }
    if (size !== header.size_bytes) {
      throw invalid(from, `it has ${size} bytes of data, and should have ${header.size_bytes}`);
    }
    await target?.close({ sync: true });
    return { header, secrets: secrets.data, sha256: digest.digest('hex') };
  } catch (thrown) {
    await target?.close().catch(() => undefined);
    throw thrown;
  } finally {
    await source.close();
  }
}

/** What anybody can read of it. @throws AgentError SNAPSHOT_INVALID, NOT_FOUND, FILE_ACCESS */
export async function readSnapshotHeader(deps: Deps, path: string): Promise<SnapshotHeader> {
  const source = await opened(deps, path);
  try {
    return (await headerOf(source, path)).header;
  } finally {
    await source.close();
  }
}

async function headerOf(source: OpenFile, path: string) {
  const start = Buffer.from(await source.read(0, SNAPSHOT_HEADER_BYTES_MAX));
  const end = start.indexOf('\n');
  const line = start.subarray(0, end + 1);
  const parsed = SnapshotHeader.safeParse(jsonOf(line));
  if (!parsed.success) {
    const newer = parsed.error.issues.some((issue) => issue.path[0] === 'pipeops_snapshot');
    throw invalid(
      path,
      end >= 0 && newer
        ? 'no version of the agent as old as this one reads it'
        : 'it is no snapshot',
    );
  }
  return { header: parsed.data, line: Buffer.from(line) };
}

async function* framesOf(source: OpenFile, path: string, line: Buffer, key: Uint8Array) {
  let offset = line.length;
  for (let number = 0; ; number += 1) {
    const head = Buffer.from(await source.read(offset, LENGTH_BYTES));
    const length = head.length < LENGTH_BYTES ? 0 : head.readUInt32BE();
    if (length < TAG_BYTES || length > FRAME_BYTES_MAX) {
      throw invalid(path, 'it ends too early, or was changed');
    }
    const frame = await source.read(offset + LENGTH_BYTES, length);
    offset += LENGTH_BYTES + length;
    const isLast = length === TAG_BYTES && offset === source.sizeBytes;
    const plain = unsealed(frame, key, nonceOf(number, isLast), number === 0 ? line : undefined);
    if (plain === undefined) {
      throw invalid(path, 'it was changed, or cut off');
    }
    if (isLast) {
      return;
    }
    yield plain;
  }
}

function unsealed(
  frame: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  boundTo: Uint8Array | undefined,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  if (boundTo !== undefined) {
    decipher.setAAD(boundTo);
  }
  const end = Math.max(0, frame.length - TAG_BYTES);
  try {
    decipher.setAuthTag(frame.subarray(end));
    return Buffer.concat([decipher.update(frame.subarray(0, end)), decipher.final()]);
  } catch {
    return undefined; // The tag does not fit: the one thing that it says.
  }
}

function unpacked(path: string, packed: Uint8Array): Uint8Array {
  try {
    return Bun.zstdDecompressSync(packed);
  } catch {
    throw invalid(path, 'a part of it cannot be unpacked');
  }
}

function nonceOf(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(number, NONCE_BYTES - 1 - LENGTH_BYTES);
  nonce.writeUInt8(isLast ? 1 : 0, NONCE_BYTES - 1);
  return nonce;
}

function fileKey(key: Uint8Array, { salt }: SnapshotHeader): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, Buffer.from(salt, 'base64'), PURPOSE, KEY_BYTES));
}

function jsonOf(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? []).toString('utf8'));
  } catch {
    return undefined;
  }
}

async function opened({ files }: Deps, path: string): Promise<OpenFile> {
  const file = await files.openFile(path);
  if (file === undefined) {
    throw new AgentError('NOT_FOUND', `There is no file ${path}`, {
      hint: 'See which there are: sudo pipeops-agent snapshot list',
    });
  }
  return file;
}

function invalid(path: string, why: string): AgentError {
  return new AgentError('SNAPSHOT_INVALID', `Cannot use the snapshot ${path}: ${why}`, {
    hint: 'Take another one: sudo pipeops-agent snapshot list',
  });
}
