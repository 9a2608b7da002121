/** Which releases are taken, and why the others are not. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toAgentError } from '../../../src/core/errors.ts';
import { NO_RELEASE_KEYS, type ReleaseKeys } from '../../../src/core/release-keys.ts';
import {
  checkListed,
  listedFile,
  type ReleaseWish,
  verifyRelease,
} from '../../../src/host/release/verify.ts';
import type { SignedRelease } from '../../../src/protocol/files/release.ts';
import { listed, signedRelease, type TestKeys, testKeys } from '../../support/test-release.ts';

const MADE = new Date('2026-03-01T00:00:00Z');
const NOW = new Date('2026-03-10T12:00:00Z');
const PROGRAM = listed('pipeops-agent-linux-x64', 'the program');
const CONTENT = {
  version: '1.3.0',
  channel: 'stable',
  released: '2026-03-05T00:00:00Z',
  expires: '2026-03-20T00:00:00Z',
  min_version: '1.1.0',
  programs: [PROGRAM],
  files: [listed('SHA256SUMS', 'sums')],
} as const;
const NEWEST: ReleaseWish = {
  from: 'https://a.test/agent',
  now: NOW,
  version: undefined,
  channel: 'stable',
  installed: { version: '1.2.0', keyNumber: 1 },
  allowExpired: false,
};

let ours: TestKeys;
let theirs: TestKeys;
let good: SignedRelease;
beforeAll(async () => {
  ours = await testKeys(MADE);
  theirs = await testKeys(MADE);
  good = await signedRelease(ours, CONTENT);
});
afterAll(async () => {
  await ours[Symbol.asyncDispose]();
  await theirs[Symbol.asyncDispose]();
});

function refusalOf(signed: SignedRelease, wish: Partial<ReleaseWish> = {}, keys = ours.keys) {
  try {
    verifyRelease(keys, signed, { ...NEWEST, ...wish });
  } catch (thrown) {
    const { code, message, hint } = toAgentError(thrown);
    expect(hint).toBeString();
    return `${code}: ${message}`;
  }
  return undefined;
}

test('a release of ours is taken, and says what it is', () => {
  const { manifest, key, isClockBehind } = verifyRelease(ours.keys, good, NEWEST);
  expect({ manifest, number: key.number, isClockBehind }).toEqual({
    manifest: { v: 1, commit: 'abc', ...CONTENT, programs: [PROGRAM], files: [...CONTENT.files] },
    number: 1,
    isClockBehind: false,
  });
  expect(listedFile(manifest, PROGRAM.name)).toEqual(PROGRAM);
});

test('either root key is enough', async () => {
  await using keys = await testKeys(MADE);
  const byFirst = await signedRelease(keys, CONTENT);
  await rm(join(keys.directory, 'root-1.key.pem'));
  await keys.replace(MADE);
  const bySecond = await signedRelease(keys, CONTENT);
  const knowing = (index: number) => ({
    ...keys.keys,
    roots: keys.keys.roots.slice(index, index + 1),
  });
  expect(
    [byFirst, bySecond].map((signed) =>
      [keys.keys, knowing(0), knowing(1)].map((each) => refusalOf(signed, {}, each) === undefined),
    ),
  ).toEqual([
    [true, true, false],
    [true, false, true],
  ]);
});

test('one changed byte in any of the four texts is refused', () => {
  for (const part of ['manifest', 'manifestSignature', 'key', 'keySignature'] as const) {
    const text = good[part].trimEnd();
    for (let at = 0; at < text.length; at += 1) {
      // The last digits of base64 hold bits that count for nothing.
      if (part.endsWith('Signature') && at >= text.length - 3) {
        continue;
      }
      const other = text[at] === 'A' ? 'B' : 'A';
      const changed = `${text.slice(0, at)}${other}${text.slice(at + 1)}\n`;
      expect(refusalOf({ ...good, [part]: changed })).toStartWith('RELEASE_UNTRUSTED: ');
    }
    for (const cut of [0, 1, text.length - 5]) {
      expect(refusalOf({ ...good, [part]: text.slice(0, cut) })).toStartWith('RELEASE_UNTRUSTED: ');
    }
  }
});

test('keys that this program does not know are refused', async () => {
  const foreign = await signedRelease(theirs, CONTENT);
  const from = 'RELEASE_UNTRUSTED: Cannot trust https://a.test/agent: ';
  expect([
    refusalOf(foreign),
    refusalOf({ ...foreign, key: good.key, keySignature: good.keySignature }),
    refusalOf({ ...good, key: foreign.key, keySignature: foreign.keySignature }),
  ]).toEqual([
    `${from}its release key is signed by no root key that this program knows`,
    `${from}release key 1 has not signed its manifest`,
    `${from}its release key is signed by no root key that this program knows`,
  ]);
});

test('a key that a root has signed for something else is refused', () => {
  const keys: ReleaseKeys = { ...ours.keys, purpose: 'release' };
  expect(refusalOf(good, {}, keys)).toContain(
    'is for "test-only-never-a-release", not for "release"',
  );
});

test('a build without keys takes nothing, and says so', () => {
  expect(refusalOf(good, {}, NO_RELEASE_KEYS)).toBe(
    'RELEASE_UNTRUSTED: Cannot check https://a.test/agent: this program was built without release keys',
  );
});

test('a replaced key is refused: by a newer program, and where a newer one was seen', async () => {
  await using keys = await testKeys(MADE);
  const before = await signedRelease(keys, CONTENT);
  await keys.replace(MADE);
  const after = await signedRelease(keys, CONTENT);
  const newer = { ...keys.keys, oldest_key: 2 };
  const seen = { installed: { version: '1.2.0', keyNumber: 2 } };
  expect([
    refusalOf(before, {}, keys.keys),
    refusalOf(after, seen, newer),
    refusalOf(before, {}, newer),
    refusalOf(before, seen, keys.keys),
  ]).toEqual([
    undefined,
    undefined,
    expect.stringContaining('release key 1 was replaced: 2 is the oldest one taken'),
    expect.stringContaining('release key 1 was replaced: 2 is the oldest one taken'),
  ]);
});

test('what calls itself the newest must not have expired; a named version may', () => {
  const late = { now: new Date('2026-03-20T00:00:00Z') };
  expect([
    refusalOf(good, { now: new Date('2026-03-19T23:59:59Z') }),
    refusalOf(good, late),
    refusalOf(good, { ...late, version: '1.3.0' }),
    refusalOf(good, { ...late, allowExpired: true }),
  ]).toEqual([
    undefined,
    'RELEASE_EXPIRED: What https://a.test/agent calls the newest release expired at 2026-03-20T00:00:00Z; ' +
      'the clock here says 2026-03-20T00:00:00Z',
    undefined,
    undefined,
  ]);
});

test('an expired release key is refused for a named version, too', () => {
  const late = { now: new Date('2026-04-01T00:00:00Z'), version: '1.3.0' };
  expect([refusalOf(good, late), refusalOf(good, { ...late, allowExpired: true })]).toEqual([
    'RELEASE_EXPIRED: Release key 1 of https://a.test/agent expired at 2026-03-31T00:00:00Z; ' +
      'the clock here says 2026-04-01T00:00:00Z',
    undefined,
  ]);
});

test('a clock that is years behind stops nothing, and is told; one that is ahead is named', () => {
  const { isClockBehind } = verifyRelease(ours.keys, good, { ...NEWEST, now: new Date(0) });
  expect(isClockBehind).toBe(true);
  expect(refusalOf(good, { now: new Date('2099-01-01T00:00:00Z') })).toContain(
    'the clock here says 2099-01-01T00:00:00Z',
  );
});

test('an older release, another channel, another version, too large a step are refused', async () => {
  const beta = await signedRelease(ours, { ...CONTENT, channel: 'beta' });
  const installed = (version: string) => ({ installed: { version, keyNumber: 1 } });
  expect([
    refusalOf(good, installed('1.3.1')),
    refusalOf(good, installed('1.4.0-rc.1')),
    refusalOf(good, installed('1.3.0')),
    refusalOf(good, { ...installed('1.3.1'), version: '1.3.0' }),
    refusalOf(good, installed('1.0.9')),
    refusalOf(good, { version: '1.2.9' }),
    refusalOf(beta),
    refusalOf(beta, { version: '1.3.0', channel: undefined }),
  ]).toEqual([
    'RELEASE_REFUSED: What https://a.test/agent calls the newest is 1.3.0, and here is 1.3.1',
    'RELEASE_REFUSED: What https://a.test/agent calls the newest is 1.3.0, and here is 1.4.0-rc.1',
    undefined,
    undefined,
    'RELEASE_REFUSED: 1.3.0 can follow 1.1.0 and newer, and here is 1.0.9',
    'RELEASE_REFUSED: https://a.test/agent holds version 1.3.0, not 1.2.9',
    'RELEASE_REFUSED: https://a.test/agent holds a release of the channel "beta", not of "stable"',
    undefined,
  ]);
});

test('a signed manifest of a wrong or newer form is no bug', async () => {
  const wrong = await signedRelease(ours, { ...CONTENT, released: 'yesterday' });
  const path = await signedRelease(ours, {
    ...CONTENT,
    files: [{ ...PROGRAM, name: '../../etc/passwd' }],
  });
  const newer = await signedRelease(ours, { ...CONTENT, v: 2, files: 'somewhere else' as never });
  const more = await signedRelease(ours, { ...CONTENT, notes: 'https://a.test/notes' });
  const from = 'Cannot trust https://a.test/agent';
  expect([refusalOf(wrong), refusalOf(path), refusalOf(newer), refusalOf(more)]).toEqual([
    `RELEASE_UNTRUSTED: ${from}: its manifest is wrong at released`,
    `RELEASE_UNTRUSTED: ${from}: its manifest is wrong at files.0.name`,
    'RELEASE_REFUSED: The manifest of https://a.test/agent needs a newer reader (2; this one is 1)',
    undefined,
  ]);
});

test.each([
  [
    'is another one',
    { sizeBytes: PROGRAM.size, sha256: '0'.repeat(64) },
    'its SHA-256 is another one',
  ],
  [
    'is shorter',
    { sizeBytes: PROGRAM.size - 1, sha256: PROGRAM.sha256 },
    'it has 10 bytes and not 11',
  ],
  [
    'is longer',
    { sizeBytes: PROGRAM.size + 1, sha256: PROGRAM.sha256 },
    'it has 12 bytes and not 11',
  ],
])('a program that %s than the signed one is refused', (_, found, why) => {
  expect(() => checkListed(PROGRAM, { path: '/p', ...found })).toThrow(
    `/p is not the signed ${PROGRAM.name}: ${why}`,
  );
  checkListed(PROGRAM, { path: '/p', sizeBytes: PROGRAM.size, sha256: PROGRAM.sha256 });
});
