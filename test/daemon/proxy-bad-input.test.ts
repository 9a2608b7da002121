/** Requests that want past the policy, or past the parser, at each door of the whole daemon. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { SMALL_PATH } from '../load/fast-cluster.ts';
import { type Door, type ProxyDaemon, startProxyDaemon } from '../load/proxy-daemon.ts';

const TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;

let daemon: ProxyDaemon;

beforeAll(async () => {
  daemon = await startProxyDaemon();
}, TIMEOUT_MS);
afterAll(async () => await daemon?.[Symbol.asyncDispose](), TIMEOUT_MS);

/** The first line of what a door answers to exactly this; '' when it only hangs up. */
async function statusOf(
  door: Door,
  requestLine: string,
  headers: readonly string[] = [],
): Promise<string> {
  const socket = await door.connect(requestLine, headers);
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    socket.on('close', () => resolve(text));
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.includes('\r\n')) {
        resolve(text);
      }
    });
  });
  socket.destroy();
  return answer.split('\r\n', 1)[0] ?? '';
}

/** They would be Secrets of a protected namespace for a reader who is less strict. */
const SECRETS: readonly (readonly [string, string])[] = [
  ['a protected namespace', '/api/v1/namespaces/kube-system/secrets'],
  ['the namespace of the agent', '/api/v1/namespaces/pipeops-system/secrets'],
  ['dot segments', '/api/v1/namespaces/shop/../kube-system/secrets'],
  ['escaped dots', '/api/v1/namespaces/shop/%2e%2e/kube-system/secrets'],
  ['an escaped slash', '/api/v1/namespaces/shop%2F..%2Fkube-system/secrets'],
  ['an empty segment', '/api/v1//namespaces/kube-system/secrets'],
  ['a backslash', '/api/v1/namespaces/shop\\..\\kube-system/secrets'],
  ['escaped letters', '/api/v1/namespaces/kube%2Dsystem/secrets'],
  ['a matrix parameter', '/api/v1/namespaces/kube-system;x=1/secrets'],
  ['a null byte', '/api/v1/namespaces/kube-system%00/secrets'],
  ['the root of the API skipped', '/api/../api/v1/namespaces/kube-system/secrets'],
];

describe.each(['plain door', 'TLS door', 'session'])('%s', (name) => {
  const door = () => daemon.doors.find((each) => each.name === name) as Door; // One of the three.
  const stillServes = async () =>
    expect((await (await door().fetch(SMALL_PATH)).text()).length).toBe(1_024);

  test.each(SECRETS)('%s opens nothing', async (_, path) => {
    expect(await statusOf(door(), `GET ${path}`)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(daemon.cluster.secretRequests()).toBe(0);
    await stillServes();
  });

  test.each([
    ['/metrics'],
    ['/logs/'],
    ['/debug/pprof/'],
    ['/apis/rbac.authorization.k8s.io/v1/clusterroles'],
  ])('%s is not for everybody', async (path) => {
    expect(await statusOf(door(), `GET ${path}`)).toMatch(/^HTTP\/1\.1 403 /);
    await stillServes();
  });

  test('a method that is none of the API is refused', async () => {
    expect(await statusOf(door(), 'TRACE /api/v1/pods')).toMatch(/^HTTP\/1\.1 4\d\d /);
    await stillServes();
  });

  test('headers of a mebibyte are refused, a hundred times, in bounded memory', async () => {
    const header = `X-Long: ${'a'.repeat(MIB)}`;
    const refuseHundred = async () => {
      for (let count = 0; count < 100; count += 1) {
        expect(await statusOf(door(), `GET ${SMALL_PATH}`, [header])).toMatch(/^HTTP\/1\.1 431 /);
      }
      return await daemon.rssBytes();
    };
    // The first ones fill what heads may hold; from then on nothing is added.
    const warm = await refuseHundred();
    expect((await refuseHundred()) - warm).toBeLessThan(32 * MIB);
    await stillServes();
  });
});
