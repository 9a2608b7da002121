/** What the variables of the runtime, and proxies, may not do to the compiled executable. */
import { expect, test } from 'bun:test';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';
import { runAgent } from './run-agent.ts';
import { runDaemon } from './run-daemon.ts';

const TOKEN = 'environment-test-token';
const KUBERNETES_TOKEN = 'environment-test-kubernetes-token';
/** Its only request is the one to the kubelet of this machine, which is not there. */
const WORKER = 'agent: {role: node}';

test('no variable switches off the check of certificates', async () => {
  const { cert, key } = await makeCertificates(['127.0.0.1']);
  const received: string[] = [];
  let ended = 0;
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    socket: {
      data: (socket, bytes) => {
        received.push(bytes.toString('latin1'));
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
      },
      close: () => {
        ended += 1;
      },
    },
  });
  const url = `https://127.0.0.1:${server.port}`;
  await using _daemon = await runDaemon({
    config: `control_plane: {url: "${url}", transport: rest, poll_interval: 1s}`,
    controlPlaneToken: TOKEN,
    env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
  });
  await until('it has tried twice', () => ended >= 2);
  expect(received).toEqual([]);
});

test('no variable makes the runtime print what is sent', async () => {
  const { ca, cert, key } = await makeCertificates(['127.0.0.1']);
  let asked = 0;
  await using api = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    fetch: () => {
      asked += 1;
      return Response.json({ kind: 'List', items: [] });
    },
  });
  await using daemon = await runDaemon({
    config: 'control_plane: {url: "http://127.0.0.1:1"}',
    controlPlaneToken: TOKEN,
    kubeconfig: renderKubeconfig('test', { server: api.url.origin, ca, token: KUBERNETES_TOKEN }),
    env: { BUN_CONFIG_VERBOSE_FETCH: 'curl' },
  });
  await until('it has asked the API', () => asked > 0);
  expect(daemon.output()).not.toContain(KUBERNETES_TOKEN);
});

test('a proxy never gets what is for this machine', async () => {
  const asked: string[] = [];
  using proxy = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, bytes) => {
        asked.push(bytes.toString('latin1').split('\r\n')[0] ?? '');
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      },
    },
  });
  const url = `http://127.0.0.1:${proxy.port}`;
  const names = [
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'http_proxy',
    'https_proxy',
    'all_proxy',
  ];
  await using daemon = await runDaemon({
    config: WORKER,
    env: Object.fromEntries(names.map((name) => [name, url])),
  });
  expect((await fetch(`http://127.0.0.1:${daemon.port}/ready`)).status).toBe(503);
  expect(asked).toEqual([]);
});

test('words, streams and the exit code pass through the clean start', async () => {
  const env = { BUN_CONFIG_VERBOSE_FETCH: 'curl', NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  expect(await runAgent(['join', '--token-file', '-'], { env, stdin: 'not a token' })).toEqual(
    await runAgent(['join', '--token-file', '-'], { stdin: 'not a token' }),
  );
});
