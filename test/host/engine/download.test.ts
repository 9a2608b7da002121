import { expect, test } from 'bun:test';
import { downloadText, redirectTarget } from '../../../src/host/engine/download.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemNetwork } from '../../../src/platform/network/open.ts';
import { failureOf } from '../../support/failure-of.ts';
import { makeCertificates } from '../../support/tls.ts';

const NO_PROXY = { url: '', credentials: '', noProxy: '' };
const LIMIT_BYTES = 1_000;
const never = new AbortController().signal;

/** A server with these answers, and how to fetch from it through the ports of life. */
function serve(answers: Readonly<Record<string, () => Response>>, tls?: { ca: string }) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    ...(tls === undefined ? {} : { tls }),
    fetch: (request) =>
      answers[new URL(request.url).pathname]?.() ?? new Response('not here', { status: 404 }),
  });
  const network = { clock: systemClock, ...systemNetwork({ ca: tls?.ca, proxy: NO_PROXY }) };
  const url = server.url.origin;
  return {
    url,
    text: (path: string) => downloadText(network, `${url}${path}`, LIMIT_BYTES, never),
    target: (path: string) => redirectTarget(network, `${url}${path}`, never),
    [Symbol.asyncDispose]: async () => {
      network.close();
      await server.stop(true);
    },
  };
}

const to = (location: string) => () => new Response(null, { status: 302, headers: { location } });

test('a download follows redirects, relative ones too', async () => {
  await using server = serve({ '/a': to('/b'), '/b': to('c'), '/c': () => new Response('here') });
  expect(await server.text('/a')).toBe('here');
});

test('a redirect can be asked for without being followed', async () => {
  await using server = serve({ '/a': to('/tag/v1'), '/b': () => new Response('none') });
  expect([await server.target('/a'), await server.target('/b')]).toEqual([
    `${server.url}/tag/v1`,
    undefined,
  ]);
});

test('a circle of redirects is left', async () => {
  await using server = serve({ '/a': to('/b'), '/b': to('/a') });
  expect(await failureOf(() => server.text('/a'))).toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: `Cannot fetch ${server.url}/a: it redirects more than 5 times`,
  });
});

test('a download never goes from https to http', async () => {
  const tls = await makeCertificates(['127.0.0.1']);
  let asked = 0;
  await using plain = serve({
    '/x': () => {
      asked += 1;
      return new Response('changed on the way');
    },
  });
  await using secure = serve({ '/x': to(`${plain.url}/x`) }, tls);
  expect(await failureOf(() => secure.text('/x'))).toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: `Cannot fetch ${secure.url}/x: it redirects from https to ${plain.url}/x`,
  });
  expect(asked).toBe(0);
});

test('who cannot be reached is named: the server, or the proxy before it', async () => {
  const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  gone.stop(true);
  const host = `127.0.0.1:${gone.port}`;
  const failed = async (url: string, proxy: string) => {
    const network = systemNetwork({ ca: undefined, proxy: { ...NO_PROXY, url: proxy } });
    const deps = { clock: systemClock, ...network };
    const error = await failureOf(() => downloadText(deps, url, LIMIT_BYTES, never));
    network.close();
    return [error.code, error.message, error.hint];
  };
  expect(await failed(`http://${host}/x`, '')).toEqual([
    'DOWNLOAD_FAILED',
    `Cannot fetch http://${host}/x: it refuses connections`,
    `Check that this machine reaches ${host} (proxy: HTTPS_PROXY); a mirror is named with --k3s-mirror`,
  ]);
  expect(await failed('http://mirror.example/x', `http://${host}`)).toEqual([
    'DOWNLOAD_FAILED',
    `Cannot fetch http://mirror.example/x: the proxy ${host} cannot be reached: it refuses connections`,
    `Check the proxy http://${host}, and the credentials for it (HTTPS_PROXY, control_plane.proxy)`,
  ]);
});

test('a download that has no end is left at its limit', async () => {
  await using server = serve({
    '/a': () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(100)) }),
      ),
  });
  expect(await failureOf(() => server.text('/a'))).toMatchObject({ code: 'DOWNLOAD_CORRUPT' });
});

test('a download says what the server answered', async () => {
  await using server = serve({});
  expect(await failureOf(() => server.text('/a'))).toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: `Cannot fetch ${server.url}/a: it answers 404`,
  });
});
