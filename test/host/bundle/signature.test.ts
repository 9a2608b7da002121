/** A bundle whose program was put in place of the signed one: whole by its own hashes, and refused. */
import { expect, test } from 'bun:test';
import { signatureSources, verifyBundledProgram } from '../../../src/host/bundle/signature.ts';
import { verifyBundle } from '../../../src/host/bundle/verify.ts';
import { writeBundle } from '../../../src/host/bundle/write.ts';
import { writeSignedRelease } from '../../../src/host/release/signed-files.ts';
import { listed, signedRelease, testKeys } from '../../support/test-release.ts';
import { BUNDLE, bundleStand, CREATED, PARTS } from './bundle-of.ts';

const never = new AbortController().signal;
const VERSION = '1.2.3';

test.each([
  ['the signed one', 'the agent', VERSION, undefined],
  ['another one of that size', 'THE AGENT', VERSION, 'its SHA-256 is another one'],
  ['a longer one', 'the agent, and more', VERSION, 'it has 19 bytes and not 9'],
  ['of another version', 'the agent', '1.2.4', 'holds version 1.2.3, not 1.2.4'],
])('a program that is %s', async (_, program, version, why) => {
  await using stand = await bundleStand();
  await using keys = await testKeys(CREATED);
  const { files } = stand;
  const signed = await signedRelease(keys, {
    ...{ version: VERSION, channel: 'stable', min_version: '0.0.0', files: [] },
    ...{ released: '2026-01-01T00:00:00Z', expires: '2026-02-01T00:00:00Z' },
    programs: [listed('pipeops-agent-linux-x64', 'the agent')],
  });
  await files.makeDirectory('/signed', { mode: 0o700 });
  await writeSignedRelease(files, '/signed', signed);
  await files.writeAtomic('/pipeops-agent', program, { mode: 0o600 });
  const sources = PARTS.map(({ part, name }) => ({ part, name, path: `/${name}` }));
  const content = {
    architecture: 'amd64',
    ...{ agent: { version }, k3s: { version: 'v1.34.4+k3s1' } },
    ...{ images: [], created: CREATED, sources: [...sources, ...signatureSources('/signed')] },
  } as const;
  await writeBundle(files, BUNDLE, content, () => undefined, never);
  // By its own hashes it is whole.
  const bundle = await verifyBundle(files, BUNDLE, () => undefined, never);
  expect(bundle.signed).toEqual(signed);
  const judged = { now: CREATED, allowExpired: false, installed: undefined };
  const verified = () => verifyBundledProgram(keys.keys, bundle, judged)?.key.number;
  if (why === undefined) {
    expect(verified()).toBe(1);
  } else {
    expect(verified).toThrow(why);
  }
});
