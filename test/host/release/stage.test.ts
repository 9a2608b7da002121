/** How the program of a release comes to its place: whole, verified, or not at all. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { gzipSync } from 'bun';
import { toAgentError } from '../../../src/core/errors.ts';
import type { Files, Http } from '../../../src/core/ports.ts';
import { packedPath, stageRelease } from '../../../src/host/release/stage.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { ReleaseManifest, type SignedRelease } from '../../../src/protocol/files/release.ts';
import { ROOMY_DISK } from '../../support/machine-tree.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { listed } from '../../support/test-release.ts';

const NAME = 'pipeops-agent-linux-x64';
const URL_OF = 'https://a.test/agent/1.2.3';
const PLACE = '/opt/agent/1.2.3/pipeops-agent';
const PROGRAM = new TextEncoder().encode('the program '.repeat(200_000));
const PACKED = gzipSync(PROGRAM);
const SIGNED: SignedRelease = {
  manifest: 'm',
  manifestSignature: 'ms',
  key: 'k',
  keySignature: 'ks',
};

let directory: TempDirectory;
let files: Files;
let asked: string[];
let served: Uint8Array<ArrayBuffer>;
let freeBytes: number;

beforeEach(async () => {
  directory = await tempDirectory();
  freeBytes = ROOMY_DISK.freeBytes;
  files = {
    ...systemFiles(directory.path),
    diskSpace: async () => ({ ...ROOMY_DISK, freeBytes }),
  };
  asked = [];
  served = PACKED;
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const http: Http = async (url) => {
  asked.push(url);
  return new Response(served);
};

async function stage(program = listed(NAME, PROGRAM), packed = listed(`${NAME}.gz`, PACKED)) {
  const manifest = ReleaseManifest.parse({
    ...{ v: 1, version: '1.2.3', channel: 'stable', commit: 'c', min_version: '0.0.0' },
    ...{ released: '2026-01-01T00:00:00Z', expires: '2026-02-01T00:00:00Z' },
    ...{ programs: [program], files: [packed] },
  });
  const what = { manifest, signed: SIGNED, platform: 'linux-x64', path: PLACE };
  const from = { url: URL_OF, to: packedPath('/downloads', '1.2.3', 'linux-x64') };
  const deps = { clock: systemClock, files, http };
  const never = new AbortController().signal;
  return await stageRelease(deps, what, from, () => undefined, never).then(
    () => 'staged',
    (thrown: unknown) => toAgentError(thrown).code,
  );
}

const left = async () => [
  ...(await files.list('/downloads')),
  ...(await files.list('/opt/agent/1.2.3')),
];

test('the program is fetched once, and its signatures stand beside it', async () => {
  expect([await stage(), await stage()]).toEqual(['staged', 'staged']);
  expect(asked).toEqual([`${URL_OF}/${NAME}.gz`]);
  expect(await files.readBytes(PLACE, PROGRAM.length)).toEqual(PROGRAM);
  expect((await files.stat(PLACE))?.mode).toBe(0o755);
  expect(await left()).toEqual([
    ...['pipeops-agent', 'release-key.json', 'release-key.json.sig'],
    ...['release.json', 'release.json.sig'],
  ]);
});

test('what stands there and is another one is replaced', async () => {
  await stage();
  await files.writeAtomic(PLACE, 'changed', { mode: 0o755 });
  expect(await stage()).toBe('staged');
  expect(await files.readBytes(PLACE, PROGRAM.length)).toEqual(PROGRAM);
});

test.each([
  ['is longer than signed', gzipSync(new Uint8Array(5_000_000)), undefined, 'DOWNLOAD_CORRUPT'],
  ['is cut off', PACKED.subarray(0, 1_000), undefined, 'DOWNLOAD_CORRUPT'],
  ['unpacks to less', PACKED, listed(NAME, `${PROGRAM} and more`), 'RELEASE_UNTRUSTED'],
  ['unpacks to more', PACKED, listed(NAME, 'short'), 'RELEASE_UNTRUSTED'],
  [
    'unpacks to something else of that size',
    PACKED,
    { ...listed(NAME, PROGRAM), sha256: '0'.repeat(64) },
    'RELEASE_UNTRUSTED',
  ],
])('what %s is refused, and no program stands there', async (_, bytes, program, code) => {
  served = new Uint8Array(bytes);
  expect(await stage(program)).toBe(code);
  expect(await files.stat(PLACE)).toBeUndefined();
  expect((await left()).filter((name) => name.startsWith('pipeops-agent'))).toEqual([]);
});

test('a disk that has too little room is found before anything is fetched', async () => {
  freeBytes = 1_000_000;
  expect(await stage()).toBe('DISK_FULL');
  expect(asked).toEqual([]);
});
