/** The whole daemon in a process of its own before a fast cluster, and the doors that lead there. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import { LocalAccess } from '../../src/protocol/local-api.ts';
import { startControlPlane } from '../support/control-plane/control-plane.ts';
import { serviceAccountToken } from '../support/fake-kubernetes.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type FastCluster, startFastCluster } from './fast-cluster.ts';

const AGENT_ID = 'agent-under-load';
const TOKEN = 'a-control-plane-token';
const START_TIMEOUT_MS = 30_000;
const YEAR_SECONDS = 365 * 86_400;

/** A way in: for `fetch`, and as a connection of one's own. */
export interface Door {
  readonly name: string;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Sends exactly this head: a line and headers without those that let one in. */
  connect(requestLine: string, headers?: readonly string[]): Promise<Socket>;
}

export interface ProxyDaemon extends AsyncDisposable {
  readonly cluster: FastCluster;
  readonly doors: readonly Door[];
  /** Without garbage that waits to be collected: how much that is would be luck. */
  rssBytes(): Promise<number>;
  openDescriptors(): Promise<number>;
}

export async function startProxyDaemon(): Promise<ProxyDaemon> {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await tempDirectory());
  const cluster = stack.use(await startFastCluster());
  const controlPlane = stack.use(startControlPlane({ token: TOKEN }));
  const at = (name: string) => join(directory.path, name);
  await mkdir(at('credentials'));
  await writeFile(at('credentials/control-plane-token'), `${TOKEN}\n`);
  const token = serviceAccountToken(new Date(), YEAR_SECONDS);
  const access = { server: cluster.url, ca: cluster.ca, token };
  await writeFile(at('kubeconfig'), renderKubeconfig('load', access));
  await writeFile(at('policy.yaml'), 'preset: operate\n', { mode: 0o644 });
  await writeFile(
    at('config.yaml'),
    `agent: {id: ${AGENT_ID}}\nhttp: {port: 0, tls_port: 0}\ncontrol_plane: {url: "${controlPlane.url}"}\n`,
  );
  const main = join(import.meta.dir, '../../src/main.ts');
  const collect = `--preload=${join(import.meta.dir, 'collect-on-signal.ts')}`;
  const child = Bun.spawn([process.execPath, collect, main, 'run', '--config', at('config.yaml')], {
    env: { STATE_DIRECTORY: directory.path, RUNTIME_DIRECTORY: directory.path },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: Bun.file(at('log')),
  });
  const output = child.stdout.getReader();
  stack.defer(async () => {
    child.kill('SIGTERM');
    await child.exited;
  });
  const doors = await openDoors(at('agent.sock'), controlPlane.adminUrl).catch(async (error) => {
    const log = await Bun.file(at('log')).text();
    await stack.disposeAsync();
    throw new Error(`The daemon does not serve; its log:\n${log}`, { cause: error });
  });
  return {
    cluster,
    doors,
    rssBytes: async () => {
      child.kill('SIGUSR2');
      await output.read();
      const status = await Bun.file(`/proc/${child.pid}/status`).text();
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
    },
    openDescriptors: async () => (await readdir(`/proc/${child.pid}/fd`)).length,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function openDoors(socketPath: string, adminUrl: string): Promise<readonly Door[]> {
  const access = await waitUntil('the daemon serves', START_TIMEOUT_MS, async () => {
    const answer = await fetch('http://agent/api/k8s/local-access', { unix: socketPath });
    return LocalAccess.parse(await answer.json());
  });
  const authorization = `Bearer ${(await Bun.file(access.token_file).text()).trim()}`;
  const tls = { ca: access.certificate };
  const remote = `${adminUrl}/admin/agents/${AGENT_ID}/proxy`;
  const door = (
    name: string,
    base: string,
    init: BunFetchRequestInit,
    open: () => Socket,
    authorized: readonly string[] = [],
  ): Door => ({
    name,
    fetch: (path, more = {}) =>
      fetch(`${base}${path}`, { ...init, ...more, headers: { ...init.headers, ...more.headers } }),
    connect: async (requestLine, headers = []) => {
      const socket = open();
      const [method, path] = requestLine.split(' ');
      const prefix = new URL(base).pathname;
      const lines = [
        ...[`${method} ${prefix}${path} HTTP/1.1`, 'Host: 127.0.0.1'],
        ...[...authorized, ...headers, '', ''],
      ];
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.once(name === 'TLS door' ? 'secureConnect' : 'connect', resolve);
      });
      socket.on('error', () => socket.destroy());
      socket.write(lines.join('\r\n'));
      return socket;
    },
  });
  const port = (url: string) => Number(new URL(url).port);
  return [
    door('plain door', 'http://127.0.0.1/proxy', { unix: socketPath }, () =>
      connectPlain(socketPath),
    ),
    door(
      'TLS door',
      access.server,
      { tls, headers: { authorization } },
      () => connectTls({ host: '127.0.0.1', port: port(access.server), ...tls }),
      [`Authorization: ${authorization}`],
    ),
    door('session', remote, {}, () => connectPlain(port(adminUrl), '127.0.0.1')),
  ];
}
