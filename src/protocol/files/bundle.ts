/**
 * The first entry of a bundle: what else is in it. A bundle is a plain tar archive, in the one form that
 * `host/bundle/tar-entry.ts` writes: manifest.json, its signature where there is one, the files of the
 * manifest in its order, SHA256SUMS.
 */
import * as z from 'zod';

/** The newest manifest that is read here: its `v` is the oldest reader that may use it. */
export const BUNDLE_READER = 1;
export const MANIFEST_NAME = 'manifest.json';
/** Room for a signature of whoever made the bundle: it is passed over. */
export const SIGNATURE_NAME = 'manifest.json.sig';
/** The last entry: the hashes of all others but the signature, for sha256sum(1) and against bad copies. */
export const SUMS_NAME = 'SHA256SUMS';

const FILES_MAX = 16;
const IMAGES_MAX = 1_000;
const IMAGE_NAME_LENGTH_MAX = 512;
/** Images are the largest: those of k3s have about 250 MB. */
export const BUNDLE_FILE_LIMIT_BYTES = 4 * 1024 * 1024 * 1024;

/** The text of SHA256SUMS. */
export function sumsText(hashes: Iterable<readonly [name: string, sha256: string]>): string {
  return [...hashes].map(([name, sha256]) => `${sha256}  ${name}\n`).join('');
}

/** One of each is in every bundle. */
export const BUNDLE_PARTS = ['agent', 'k3s', 'k3s-installer', 'k3s-images', 'image-list'] as const;
export type BundlePart = (typeof BUNDLE_PARTS)[number];

/** The signed texts of the agent's release: all four, or none of them where a build knows no keys. */
export const RELEASE_PARTS = [
  'release-manifest',
  'release-manifest-signature',
  'release-key',
  'release-key-signature',
] as const;
export type ReleasePart = (typeof RELEASE_PARTS)[number];

const BundleFile = z.looseObject({
  /** No path: it can lead nowhere. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/),
  part: z.string(),
  size_bytes: z.int().min(0).max(BUNDLE_FILE_LIMIT_BYTES),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export const BundleManifest = z.looseObject({
  v: z.int().min(1),
  created: z.iso.datetime(),
  architecture: z.enum(['amd64', 'arm64']),
  agent: z.looseObject({ version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/) }),
  k3s: z.looseObject({ version: z.string().regex(/^v\d+\.\d+\.\d+[-+.\w]{0,40}$/) }),
  /** Names of the images in the archive of images. */
  images: z
    .array(
      z
        .string()
        .regex(/^[\w.:/@-]+$/)
        .max(IMAGE_NAME_LENGTH_MAX),
    )
    .max(IMAGES_MAX),
  files: z
    .array(BundleFile)
    .max(FILES_MAX)
    .refine((files) => new Set(files.map(({ name }) => name)).size === files.length, {
      error: 'names a file twice',
    })
    .refine(
      (files) =>
        BUNDLE_PARTS.every((part) => files.filter((file) => file.part === part).length === 1),
      { error: `must have one file of each part: ${BUNDLE_PARTS.join(', ')}` },
    )
    .refine(
      (files) => {
        const parts = files.map(({ part }) => part);
        const found = RELEASE_PARTS.filter((part) => parts.includes(part));
        const some = parts.filter((part) => found.some((each) => each === part));
        return some.length === found.length && [0, RELEASE_PARTS.length].includes(found.length);
      },
      { error: `must have one file of each part or none: ${RELEASE_PARTS.join(', ')}` },
    ),
});
export type BundleManifest = z.infer<typeof BundleManifest>;
export type BundleFile = z.infer<typeof BundleFile>;
