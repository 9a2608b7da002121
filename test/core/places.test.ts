/** The places of the product: one list, which all who use them agree with. */
import { expect, test } from 'bun:test';
import { basename, join, relative } from 'node:path';
import { Glob } from 'bun';
import {
  AGENT_USER,
  CONFIG_FILE,
  CONTROL_PLANE_TOKEN_FILE,
  DAEMON_SOCKET_TARGET,
  EXECUTABLE_LINK,
  JOINED_SERVER_FILE,
  KUBECONFIG_FILE,
  LEAVING_FILE,
  LOCAL_TOKEN_FILE,
  OWN_RUNTIME_DIRECTORY,
  POLICY_FILE,
  PROXY_CREDENTIALS_FILE,
  RUNTIME_DIRECTORY,
  SOCKET_LINK,
  STATE_DIRECTORY,
  UNIT_NAME,
  VERSIONS_DIRECTORY,
  WAS_READY_FILE,
} from '../../src/core/places.ts';
import { daemonPaths } from '../../src/daemon/paths.ts';

const ROOT = join(import.meta.dir, '../..');
const textOf = (path: string) => Bun.file(join(ROOT, path)).text();

test('no place of the product is spelled outside of its list', async () => {
  const spelled = /['"`][^'"`]*\/(etc|var\/lib|run|opt|usr\/local\/bin|systemd\/system)\/pipeops/;
  const found: string[] = [];
  for await (const path of new Glob('src/**/*.ts').scan(ROOT)) {
    const lines = path === 'src/core/places.ts' ? [] : (await textOf(path)).split('\n');
    const code = lines.filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
    found.push(...code.filter((line) => spelled.test(line)).map((line) => `${path}: ${line}`));
  }
  expect(found).toEqual([]);
});

test('the unit names the same program, user and directories', async () => {
  const unit = await textOf(`systemd/${UNIT_NAME}`);
  const all = (name: string) =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value);
  expect({
    program: [...all('ExecStartPre'), ...all('ExecStart')],
    user: [...all('User'), ...all('Group')],
    state: all('StateDirectory'),
    runtime: all('RuntimeDirectory'),
  }).toEqual({
    program: [`+-${EXECUTABLE_LINK} credentials renew`, `${EXECUTABLE_LINK} run`],
    user: [AGENT_USER, AGENT_USER],
    state: [relative('/var/lib', STATE_DIRECTORY)],
    runtime: [relative('/run', OWN_RUNTIME_DIRECTORY)],
  });
});

test('install.sh puts versions and the link where the program does', async () => {
  const script = await textOf('install.sh');
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(script)?.[1];
  expect([value('VERSIONS_DIRECTORY'), value('LINK')]).toEqual([
    VERSIONS_DIRECTORY,
    EXECUTABLE_LINK,
  ]);
});

test('the daemon of the unit finds its files where root puts them', () => {
  const env = { STATE_DIRECTORY, RUNTIME_DIRECTORY: OWN_RUNTIME_DIRECTORY };
  const paths = daemonPaths(env, CONFIG_FILE);
  expect(paths).toMatchObject({
    controlPlaneToken: CONTROL_PLANE_TOKEN_FILE,
    proxyCredentials: PROXY_CREDENTIALS_FILE,
    kubeconfig: KUBECONFIG_FILE,
    policy: POLICY_FILE,
    joinedServer: JOINED_SERVER_FILE,
    leaving: LEAVING_FILE,
    socket: join(RUNTIME_DIRECTORY, DAEMON_SOCKET_TARGET),
    localToken: LOCAL_TOKEN_FILE,
    hasRootsToken: true,
    wasReady: WAS_READY_FILE,
  });
  expect(basename(paths.socket)).toBe(basename(SOCKET_LINK));
  expect(daemonPaths({}, CONFIG_FILE)).toEqual(paths);
});

test('a daemon with other directories has all of its files in them', () => {
  const env = { STATE_DIRECTORY: '/tmp/state', RUNTIME_DIRECTORY: '/tmp/run' };
  expect(daemonPaths(env, '/tmp/etc/own.yaml')).toEqual({
    database: '/tmp/state/agent.db',
    credentials: '/tmp/state/credentials',
    controlPlaneToken: '/tmp/state/credentials/control-plane-token',
    proxyCredentials: '/tmp/state/credentials/proxy',
    renewedKubernetesToken: '/tmp/state/credentials/kubernetes-token',
    kubeconfig: '/tmp/etc/kubeconfig',
    policy: '/tmp/etc/policy.yaml',
    joinedServer: '/tmp/etc/server.json',
    leaving: '/tmp/etc/leaving',
    socket: '/tmp/run/agent.sock',
    localToken: '/tmp/run/local-token',
    hasRootsToken: false,
    wasReady: '/tmp/state/was-ready',
    localCertificate: '/tmp/state/credentials/local-tls.pem',
  });
});
