import { dirname, join } from 'node:path';
import { S3Client } from 'bun';
import { AgentError } from '../core/errors.ts';
import type { Files, ObjectStore, ObjectStoreSettings, StoredObject } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';
import { systemFiles } from './files.ts';

const STORED_OBJECTS_MAX = 10_000;
/** A single request may have 5 GB; larger files go in parts of this size (docs.aws.amazon.com, "Multipart"). */
const PART_BYTES = 8 * 1024 * 1024;
const TRIES = 3;
const MODE = 0o600;

/** The real ObjectStore, by Bun's own client. @param root of the paths: `/` in production */
export function systemObjectStore(root: string, settings: ObjectStoreSettings): ObjectStore {
  const client = new S3Client({ ...settings });
  const asked = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw cause instanceof AgentError ? cause : failure(settings, what, cause);
    }
  };
  return {
    put: (key, path) =>
      asked(`store ${key}`, async () => {
        await client.write(key, Bun.file(join(root, path)), { partSize: PART_BYTES, retry: TRIES });
      }),
    get: (key, path, limitBytes) =>
      asked(`fetch ${key}`, () => fetchInto(client, key, systemFiles(root), { path, limitBytes })),
    list: (prefix) => asked('list the objects', () => listAll(client, prefix)),
    remove: (key) => asked(`delete ${key}`, () => client.delete(key)),
  };
}

async function fetchInto(
  client: S3Client,
  key: string,
  files: Files,
  { path, limitBytes }: { readonly path: string; readonly limitBytes: number },
): Promise<void> {
  let size = 0;
  const file = await files.growFile(path, { mode: MODE, keeps: false });
  try {
    for await (const piece of client.file(key).stream()) {
      size += piece.length;
      if (size > limitBytes) {
        throw new AgentError('DISK_FULL', `${key} has over ${limitBytes} bytes: no room for it`, {
          hint: `Free some space on the file system of ${dirname(path)}`,
        });
      }
      await file.append(piece);
    }
    await file.close({ sync: true });
  } catch (thrown) {
    await file.close().catch(() => undefined);
    throw thrown;
  }
}

async function listAll(client: S3Client, prefix: string): Promise<readonly StoredObject[]> {
  const found: StoredObject[] = [];
  let after: string | undefined;
  do {
    const page = await client.list({
      prefix,
      ...(after === undefined ? {} : { continuationToken: after }),
    });
    for (const { key, lastModified, size } of page.contents ?? []) {
      found.push({ key, bytes: size ?? 0, modified: new Date(lastModified ?? 0) });
    }
    after = page.isTruncated === true ? page.nextContinuationToken : undefined;
  } while (after !== undefined && found.length < STORED_OBJECTS_MAX);
  return found;
}

function failure(
  { endpoint, bucket }: ObjectStoreSettings,
  what: string,
  cause: unknown,
): AgentError {
  const code = codeOf(cause);
  return new AgentError(
    'STORAGE_UNREACHABLE',
    `Cannot ${what} in ${bucket} at ${endpoint}: ${code ?? troubleOf(cause)}`,
    { hint: 'Check snapshots.s3_* in config.yaml, and the credentials', cause },
  );
}

/** What the store itself says: `NoSuchBucket`, `AccessDenied` (docs.aws.amazon.com, "Error responses"). */
function codeOf(cause: unknown): string | undefined {
  const { code }: { readonly code?: unknown } = Object(cause);
  return typeof code === 'string' && /^[A-Z][A-Za-z]{3,60}$/.test(code)
    ? `it says ${code}`
    : undefined;
}
