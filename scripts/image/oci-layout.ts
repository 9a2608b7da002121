/** Writes an OCI image layout: one index, and for each processor a manifest with one layer. */

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { USER_ID } from './root.ts';

const MEDIA = 'application/vnd.oci.image';

export interface ImageContent {
  /** As OCI names it: `amd64`. */
  readonly architecture: string;
  /** `.tar.gz`. */
  readonly layer: Uint8Array<ArrayBuffer>;
  /** sha256 of the layer before it is packed. */
  readonly unpackedDigest: string;
  readonly entrypoint: readonly string[];
  /** Of the entrypoint; others given at `run` replace them. */
  readonly arguments: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** @returns digest of the index: `sha256:…` */
export async function writeImageLayout(
  directory: string,
  images: readonly ImageContent[],
): Promise<string> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const manifests: object[] = [];
  for (const image of images) {
    const platform = { architecture: image.architecture, os: 'linux' };
    const layer = await writeBlob(directory, `${MEDIA}.layer.v1.tar+gzip`, image.layer);
    const config = await writeJson(directory, `${MEDIA}.config.v1+json`, {
      ...platform,
      config: {
        User: `${USER_ID}:${USER_ID}`,
        Entrypoint: image.entrypoint,
        Cmd: image.arguments,
        WorkingDir: '/',
        Labels: image.labels,
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${image.unpackedDigest}`] },
    });
    const mediaType = `${MEDIA}.manifest.v1+json`;
    const manifest = { schemaVersion: 2, mediaType, config, layers: [layer] };
    manifests.push({ ...(await writeJson(directory, mediaType, manifest)), platform });
  }
  const mediaType = `${MEDIA}.index.v1+json`;
  const index = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
  await Bun.write(join(directory, 'index.json'), index);
  await Bun.write(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return `sha256:${sha256(new TextEncoder().encode(index))}`;
}

async function writeJson(directory: string, mediaType: string, value: object): Promise<Descriptor> {
  return await writeBlob(directory, mediaType, new TextEncoder().encode(JSON.stringify(value)));
}

async function writeBlob(
  directory: string,
  mediaType: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Descriptor> {
  const digest = sha256(bytes);
  await Bun.write(join(directory, 'blobs/sha256', digest), bytes);
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
}

function sha256(bytes: Uint8Array<ArrayBuffer>): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
}
