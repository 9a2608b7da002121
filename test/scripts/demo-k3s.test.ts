/** Which k3s the demo takes: a release where one can be reached, else the one for tests. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { chooseK3s, type K3sRelease, k3sPlaces } from '../vm/k3s-release.ts';

const VERSION = 'v1.36.7+k3s2';
const PROGRAM = '#!/bin/sh\necho another k3s\n';
const STAND_IN: K3sRelease = { version: 'v1.36.3+k3s1', binary: '/built/k3s', installer: '/i.sh' };
/** A person waits for it. */
const DECIDED_WITHIN_MS = 6_000;

let cache: TempDirectory;
let before: string | undefined;
beforeEach(async () => {
  cache = await tempDirectory();
  before = process.env['XDG_CACHE_HOME'];
  process.env['XDG_CACHE_HOME'] = cache.path;
});
afterEach(async () => {
  if (before === undefined) {
    delete process.env['XDG_CACHE_HOME'];
  } else {
    process.env['XDG_CACHE_HOME'] = before;
  }
  await cache[Symbol.asyncDispose]();
});

const sha256 = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');

/** Publishes one release, in the shape of a mirror. */
function mirror(hash: string, channel: () => Response | Promise<Response>) {
  const arm = process.arch === 'arm64';
  const directory = `/download/${encodeURIComponent(VERSION)}`;
  const files: Readonly<Record<string, string>> = {
    '/install.sh': '#!/bin/sh\n',
    [`${directory}/${arm ? 'k3s-arm64' : 'k3s'}`]: PROGRAM,
    [`${directory}/sha256sum-${arm ? 'arm64' : 'amd64'}.txt`]: `${hash}  k3s\n`,
  };
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: ({ url }) => {
      const { pathname } = new URL(url);
      const text = files[pathname];
      if (pathname === '/channels/stable') {
        return channel();
      }
      return new Response(text ?? 'not found', { status: text === undefined ? 404 : 200 });
    },
  });
}
const redirecting = () =>
  new Response(null, { status: 302, headers: { location: `/releases/tag/${VERSION}` } });

async function chosenFrom(server: { readonly port?: number | undefined }) {
  const place = `http://127.0.0.1:${server.port}`;
  const startedAt = performance.now();
  const chosen = await chooseK3s(k3sPlaces(place), async () => STAND_IN);
  expect(performance.now() - startedAt).toBeLessThan(DECIDED_WITHIN_MS);
  return { place, chosen };
}

test('a release that can be reached is taken, with its own installer, and kept', async () => {
  const server = mirror(sha256(PROGRAM), redirecting);
  const { place, chosen } = await chosenFrom(server);
  const { release, ...rest } = chosen;
  expect(rest).toEqual({ source: 'release', because: `from ${place}/download` });
  expect(release.version).toBe(VERSION);
  expect(await Bun.file(release.binary).text()).toBe(PROGRAM);
  expect(await Bun.file(release.installer).text()).toBe('#!/bin/sh\n');
  const again = await chosenFrom(server);
  expect(again.chosen.release.binary).toBe(release.binary);
  await server.stop(true);
});

test.each([
  ['that stays silent', () => new Promise<Response>(() => undefined), 'does not answer'],
  ['that names no release', () => new Response('a page for people'), 'names no release'],
])('with a place %s the k3s for tests is taken, and it is said why', async (_, channel, why) => {
  const server = mirror(sha256(PROGRAM), channel);
  const { chosen } = await chosenFrom(server);
  expect(chosen).toMatchObject({ release: STAND_IN, source: 'stand-in' });
  expect(chosen.because).toContain(why);
  await server.stop(true);
});

test('a download that is not what was published is not taken', async () => {
  const server = mirror(sha256('something else'), redirecting);
  const { chosen } = await chosenFrom(server);
  expect(chosen).toMatchObject({ release: STAND_IN, source: 'stand-in' });
  expect(chosen.because).toContain('SHA-256 is not a published one');
  await server.stop(true);
});

test('where nobody listens, that is known at once', async () => {
  const server = mirror('', redirecting);
  const { port } = server;
  await server.stop(true);
  const { chosen } = await chosenFrom({ port });
  expect(chosen).toMatchObject({ release: STAND_IN, source: 'stand-in' });
});

test('without a mirror it is k3s itself that is asked', () => {
  expect(k3sPlaces(undefined).channel).toBe('https://update.k3s.io/v1-release/channels/stable');
});
