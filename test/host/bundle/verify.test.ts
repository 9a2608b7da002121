import { describe, expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_BYTES, encodeHeader } from '../../../src/host/bundle/tar-entry.ts';
import { verifyBundle } from '../../../src/host/bundle/verify.ts';
import { failureOf } from '../../support/failure-of.ts';
import {
  BUNDLE,
  type BundleStand,
  bundleStand,
  CREATED,
  PARTS,
  rewriteBundle,
} from './bundle-of.ts';

const never = new AbortController().signal;
const sha256 = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');
const AT = Math.floor(CREATED.getTime() / 1_000);

const LARGE_BYTES = 300_000_000;

const verify = ({ files }: BundleStand) => verifyBundle(files, BUNDLE, () => undefined, never);

async function bytesOf({ files }: BundleStand): Promise<Buffer> {
  return Buffer.from((await files.readBytes(BUNDLE)) ?? []);
}

/** Puts these bytes into the place of the bundle, and says how it is refused. */
async function refusal(stand: BundleStand, bytes: Uint8Array): Promise<string> {
  await writeFile(join(stand.root, BUNDLE), bytes);
  const { code, message } = await failureOf(() => verify(stand));
  expect(code).toBe('BUNDLE_INVALID');
  return message.replace(`Cannot use the bundle ${BUNDLE}: `, '');
}

function entry(name: string, text: string, header: Partial<{ type: string; link: string }> = {}) {
  const block = Buffer.from(
    encodeHeader({ name, sizeBytes: text.length, isProgram: false, modifiedAt: AT }),
  );
  block.write(header.type ?? '0', 156);
  block.write(header.link ?? '', 157);
  // With the right sum: a tar of somebody who knows how.
  block.write('        ', 148);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  const padding = Buffer.alloc((BLOCK_BYTES - (text.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return Buffer.concat([block, Buffer.from(text), padding]);
}

const END = Buffer.alloc(2 * BLOCK_BYTES);

type ChangeManifest = (manifest: {
  files: { name: string; size_bytes: number }[];
  [key: string]: unknown;
}) => unknown;
type ChangeEntries = (entries: readonly Buffer[]) => readonly Buffer[];

interface Forgery {
  readonly manifest?: ChangeManifest;
  /** Of all but the manifest. */
  readonly entries?: ChangeEntries;
}

/** A bundle whose hashes are right, changed by somebody who makes it fit. */
function forged({ manifest: change = (it) => it, entries: arrange = (it) => it }: Forgery): Buffer {
  const files = PARTS.map(({ part, name, text }) => ({
    ...{ name, part, size_bytes: text.length, sha256: sha256(text) },
  }));
  const about = { v: 1, created: CREATED.toISOString(), architecture: 'amd64', images: [] };
  const versions = { agent: { version: '1.2.3' }, k3s: { version: 'v1.34.4+k3s1' } };
  const manifest = JSON.stringify(change({ ...about, ...versions, files }));
  const listed = PARTS.map(({ name, text }) => entry(name, text));
  const hashes = files.map(({ name, sha256: hash }) => `${hash}  ${name}\n`);
  const sums = entry('SHA256SUMS', [`${sha256(manifest)}  manifest.json\n`, ...hashes].join(''));
  return Buffer.concat([entry('manifest.json', manifest), ...arrange([...listed, sums]), END]);
}

describe('a bundle', () => {
  test('is what was put into it, and tells where each file is', async () => {
    await using stand = await bundleStand();
    const bundle = await verify(stand);
    const bytes = await bytesOf(stand);
    const { offset, sizeBytes, ...k3s } = bundle.file('k3s');
    expect(k3s).toEqual({ path: BUNDLE, name: 'k3s', sha256: sha256('k'.repeat(600)) });
    expect(bytes.subarray(offset, offset + sizeBytes).toString()).toBe('k'.repeat(600));
    expect(bundle.manifest).toMatchObject({
      ...{ v: 1, architecture: 'amd64', agent: { version: '1.2.3' } },
      ...{ k3s: { version: 'v1.34.4+k3s1' }, images: ['docker.io/rancher/mirrored-pause:3.6'] },
    });
  });

  test('is an archive that tar(1) lists and unpacks', async () => {
    await using stand = await bundleStand();
    const path = join(stand.root, BUNDLE);
    const listed = await Bun.$`tar -tf ${path}`.text();
    expect(listed.trim().split('\n')).toEqual([
      'manifest.json',
      ...PARTS.map(({ name }) => name),
      'SHA256SUMS',
    ]);
    const into = join(stand.root, 'unpacked');
    await Bun.$`mkdir ${into} && tar -xf ${path} -C ${into}`.quiet();
    await Bun.$`sha256sum --check SHA256SUMS`.cwd(into).quiet();
    expect(await Bun.$`tar -xOf ${path} k3s`.text()).toBe('k'.repeat(600));
  });

  test('may have a signature behind its manifest, and what a newer version adds to that', async () => {
    await using stand = await bundleStand();
    const signature = entry('manifest.json.sig', 'signed');
    const newer = forged({
      manifest: (manifest) => ({ ...manifest, new: 1 }),
      entries: (entries) => [signature, ...entries],
    });
    await stand.files.writeAtomic(BUNDLE, newer, { mode: 0o600 });
    expect((await verify(stand)).file('agent').sizeBytes).toBe('the agent'.length);
  });

  test('that is cut off anywhere is refused', async () => {
    await using stand = await bundleStand();
    const bytes = await bytesOf(stand);
    for (let length = 0; length < bytes.length; length += length % 64 === 0 ? 1 : 7) {
      await refusal(stand, bytes.subarray(0, length));
    }
  });

  test('in which any byte was changed is refused', async () => {
    await using stand = await bundleStand();
    const bytes = await bytesOf(stand);
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      await refusal(stand, changed);
    }
  });

  test('that needs a newer version says so', async () => {
    await using stand = await bundleStand();
    const newer = forged({ manifest: (manifest) => ({ ...manifest, v: 2 }) });
    await stand.files.writeAtomic(BUNDLE, newer, { mode: 0o600 });
    expect(await failureOf(() => verify(stand))).toMatchObject({ code: 'STATE_NEWER' });
  });

  test.each<[string, Forgery, string]>([
    [
      'leads out of its directory',
      { manifest: named('../k3s') },
      'its manifest is wrong at files.1.name',
    ],
    ['has an absolute path', { manifest: named('/k3s') }, 'its manifest is wrong at files.1.name'],
    ['names a file twice', { manifest: named('pipeops-agent') }, 'its manifest is wrong at files'],
    [
      'lacks a part',
      { manifest: (it) => ({ ...it, files: it.files.slice(1) }) },
      'its manifest is wrong at files',
    ],
    [
      'has a huge file',
      {
        manifest: (it) => ({
          ...it,
          files: it.files.map((file) => ({ ...file, size_bytes: 2 ** 40 })),
        }),
      },
      'its manifest is wrong at files.0.size_bytes',
    ],
    [
      'has too many files',
      { manifest: (it) => ({ ...it, files: Array(17).fill(it.files[0]) }) },
      'its manifest is wrong at files',
    ],
    ['has no manifest in its manifest', { manifest: () => [] }, 'its manifest is wrong at the top'],
    [
      'has a link in the place of a file',
      { entries: replaced(1, entry('k3s', '', { type: '2', link: '/etc/shadow' })) },
      'where k3s should come is something else',
    ],
    [
      'has a hard link',
      { entries: replaced(1, entry('k3s', '', { type: '1', link: 'pipeops-agent' })) },
      'where k3s should come is something else',
    ],
    [
      'has a directory',
      { entries: replaced(1, entry('k3s', '', { type: '5' })) },
      'where k3s should come is something else',
    ],
    [
      'has an extension that renames',
      { entries: (it) => [entry('k3s', '16 path=/etc/x\n', { type: 'x' }), ...it] },
      'where pipeops-agent should come is something else',
    ],
    [
      'has a file twice',
      { entries: (it) => [it[0] ?? END, ...it] },
      'where k3s should come is something else',
    ],
    [
      'has another order',
      { entries: (it) => it.toReversed() },
      'where pipeops-agent should come is something else',
    ],
    [
      'has one file more',
      { entries: (it) => [...it, entry('more', 'x')] },
      'something follows its last file',
    ],
    [
      'has one file more before its hashes',
      { entries: (it) => [...it.slice(0, -1), entry('more', 'x'), ...it.slice(-1)] },
      'where SHA256SUMS should come is something else',
    ],
    [
      'has no hashes',
      { entries: (it) => it.slice(0, -1) },
      'where SHA256SUMS should come is something else',
    ],
    [
      'has another size',
      { entries: replaced(0, entry('pipeops-agent', 'the agents')) },
      'pipeops-agent has 10 bytes and not 9',
    ],
    [
      'has another content',
      { entries: replaced(0, entry('pipeops-agent', 'THE agent')) },
      'the SHA-256 of pipeops-agent is not the one in its manifest',
    ],
    [
      'hides something behind its end',
      { entries: (it) => [...it, Buffer.alloc(9 * 1024), Buffer.from('hidden'.padEnd(512))] },
      'something follows its last file',
    ],
    [
      'has a signature elsewhere',
      { entries: (it) => [...it.slice(0, 1), entry('manifest.json.sig', 'x'), ...it.slice(1)] },
      'where k3s should come is something else',
    ],
    [
      'has a signature without end',
      { entries: (it) => [entry('manifest.json.sig', 'x'.repeat(65_537)), ...it] },
      'its signature has over 65536 bytes',
    ],
  ])('that %s is refused', async (_, forgery, why) => {
    await using stand = await bundleStand();
    expect(await refusal(stand, forged(forgery))).toBe(why);
  });

  test.each([
    ['a text', Buffer.from('no archive'.padEnd(2_000))],
    ['zeros', Buffer.alloc(20_000)],
    ['a manifest that is too long', entry('manifest.json', ' '.repeat(1024 * 1024 + 1))],
  ])('is not %s', async (_, bytes) => {
    await using stand = await bundleStand();
    expect(await refusal(stand, bytes)).toBe('it does not begin with a manifest.json');
  });

  test('is read in little memory, however large it is', async () => {
    await using stand = await bundleStand();
    const large = join(stand.root, PARTS[4].name);
    await Bun.$`truncate -s ${LARGE_BYTES} ${large}`.quiet();
    await rewriteBundle(stand.files);
    // In a process of its own: how much of its garbage this one has collected is luck.
    const alone = join(import.meta.dir, 'verify-alone.ts');
    const child = Bun.spawn([process.execPath, alone, join(stand.root, BUNDLE)], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [most, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ stderr, exitCode: await child.exited }).toEqual({ stderr: '', exitCode: 0 });
    expect(Number(most)).toBeGreaterThan(0);
    expect(Number(most)).toBeLessThan(LARGE_BYTES / 2);
  });
});

function named(name: string): ChangeManifest {
  return (manifest) => ({
    ...manifest,
    files: manifest.files.map((file, index) => (index === 1 ? { ...file, name } : file)),
  });
}

function replaced(at: number, other: Buffer): ChangeEntries {
  return (entries) => entries.map((each, index) => (index === at ? other : each));
}
