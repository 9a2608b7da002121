/** The keys of releases, as files in a directory: docs/RELEASING.md says who keeps which of them where. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReleaseKeys } from '../../src/core/release-keys.ts';
import { RELEASE_READER, ReleaseKey, ReleaseKeysFile } from '../../src/protocol/files/release.ts';
import { ReleaseProblem } from './problem.ts';

/** The only keys that a test may use, and that no release may carry. */
export const TEST_PURPOSE = 'test-only-never-a-release';

const ROOTS = 2;
const SECRET_MODE = 0o600;
const RELEASE_KEY_FILE = 'release.key.pem';
const CERTIFICATE_FILE = 'release-key.json';
const PUBLIC_FILE = 'keys.json';

export interface SigningKey {
  /** Signs texts. @returns base64 */
  readonly sign: (text: string) => string;
  readonly certificate: string;
  readonly certificateSignature: string;
  readonly key: ReleaseKey;
  readonly keys: ReleaseKeys;
}

/** Makes root keys and the first release key. @throws ReleaseProblem where there are some */
export async function makeKeys(
  directory: string,
  options: { readonly purpose: string; readonly now: Date; readonly days: number },
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (await Bun.file(join(directory, PUBLIC_FILE)).exists()) {
    throw new ReleaseProblem(
      `There are keys in ${directory} already. A new release key: release.ts certify --keys ${directory}`,
    );
  }
  const roots: string[] = [];
  for (let number = 1; number <= ROOTS; number += 1) {
    const pair = generateKeyPairSync('ed25519');
    await writeSecret(join(directory, rootFile(number)), pair.privateKey);
    roots.push(publicText(pair.publicKey));
  }
  const keys: ReleaseKeys = { purpose: options.purpose, oldest_key: 1, roots };
  await writeFile(join(directory, PUBLIC_FILE), jsonText(keys));
  await makeReleaseKey(directory, 1, options);
}

/**
 * Makes a new release key, which replaces the one before, and lets whichever root key is there sign it.
 * @throws ReleaseProblem
 */
export async function certify(
  directory: string,
  options: { readonly now: Date; readonly days: number },
): Promise<number> {
  const path = join(directory, CERTIFICATE_FILE);
  if (!(await Bun.file(path).exists())) {
    // Machines take a key of the same number for as good.
    throw new ReleaseProblem(
      `There is no ${path}: bring that of the key before, whose number counts`,
    );
  }
  const number = ReleaseKey.parse(await Bun.file(path).json()).number + 1;
  await makeReleaseKey(directory, number, options);
  return number;
}

async function makeReleaseKey(
  directory: string,
  number: number,
  { now, days }: { readonly now: Date; readonly days: number },
): Promise<void> {
  const keys = await readPublicKeys(directory);
  const root = await firstRoot(directory, keys);
  const pair = generateKeyPairSync('ed25519');
  const certificate = jsonText({
    v: RELEASE_READER,
    purpose: keys.purpose,
    number,
    public_key: publicText(pair.publicKey),
    issued: instant(now),
    expires: instant(new Date(now.getTime() + days * 86_400_000)),
  });
  await writeSecret(join(directory, RELEASE_KEY_FILE), pair.privateKey);
  await writeFile(join(directory, CERTIFICATE_FILE), certificate);
  await writeFile(join(directory, `${CERTIFICATE_FILE}.sig`), `${signature(certificate, root)}\n`);
}

/** What signs releases: needs no root key. @throws ReleaseProblem */
export async function readSigningKey(directory: string): Promise<SigningKey> {
  const read = async (name: string) => {
    const file = Bun.file(join(directory, name));
    if (!(await file.exists())) {
      throw new ReleaseProblem(`There is no ${name} in ${directory}`);
    }
    return await file.text();
  };
  const secret = createPrivateKey(await read(RELEASE_KEY_FILE));
  const certificate = await read(CERTIFICATE_FILE);
  const key = ReleaseKey.parse(JSON.parse(certificate));
  if (publicText(createPublicKey(secret)) !== key.public_key) {
    throw new ReleaseProblem(
      `${RELEASE_KEY_FILE} is not the key of ${CERTIFICATE_FILE} in ${directory}`,
    );
  }
  return {
    sign: (text) => `${signature(text, secret)}\n`,
    certificate,
    certificateSignature: await read(`${CERTIFICATE_FILE}.sig`),
    key,
    keys: await readPublicKeys(directory),
  };
}

/** @throws ReleaseProblem */
export async function readPublicKeys(directory: string): Promise<ReleaseKeys> {
  return await readKeysFile(join(directory, PUBLIC_FILE));
}

/** @throws ReleaseProblem */
export async function readKeysFile(path: string): Promise<ReleaseKeys> {
  const file = Bun.file(path);
  const parsed = (await file.exists()) ? ReleaseKeysFile.safeParse(await file.json()) : undefined;
  if (parsed?.success !== true) {
    throw new ReleaseProblem(`${path} is no file of public keys`);
  }
  return parsed.data;
}

/**
 * @param isTest whether the release is made for a test
 * @throws ReleaseProblem without root keys, for test keys in a release, and for real keys in a test
 */
export function refuseWrongKeys({ roots, purpose }: ReleaseKeys, isTest: boolean): void {
  if (roots.length === 0) {
    throw new ReleaseProblem(
      'There are no root keys: no machine could trust this release. See docs/RELEASING.md',
    );
  }
  if (isTest !== (purpose === TEST_PURPOSE)) {
    throw new ReleaseProblem(
      isTest
        ? 'With --test only keys that were made with --test are used'
        : 'These are keys for tests: a release never carries them. See docs/RELEASING.md',
    );
  }
}

async function firstRoot(directory: string, { roots }: ReleaseKeys): Promise<KeyObject> {
  for (let number = 1; number <= ROOTS; number += 1) {
    const file = Bun.file(join(directory, rootFile(number)));
    if (await file.exists()) {
      const key = createPrivateKey(await file.text());
      if (!roots.includes(publicText(createPublicKey(key)))) {
        throw new ReleaseProblem(`${rootFile(number)} is none of the root keys of ${PUBLIC_FILE}`);
      }
      return key;
    }
  }
  throw new ReleaseProblem(`There is no root key in ${directory}`);
}

function rootFile(number: number): string {
  return `root-${number}.key.pem`;
}

function signature(text: string, key: KeyObject): string {
  return sign(null, Buffer.from(text), key).toString('base64');
}

function publicText(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

async function writeSecret(path: string, key: KeyObject): Promise<void> {
  await rm(path, { force: true }); // The mode counts for a new file alone.
  await writeFile(path, key.export({ type: 'pkcs8', format: 'pem' }), { mode: SECRET_MODE });
}

/** As install.sh reads it: one field a line. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Whole seconds, in UTC. */
export function instant(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}
