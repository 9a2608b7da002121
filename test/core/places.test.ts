/** The places of the product: one list, which all who use them agree with. */
import { expect, test } from 'bun:test';
import { basename, join, relative } from 'node:path';
import { Glob } from 'bun';
import { AGENT_USER, DAEMON_SOCKET_TARGET, placesOf, UNIT_NAME } from '../../src/core/places.ts';
import { daemonPaths } from '../../src/daemon/paths.ts';

const ROOT = join(import.meta.dir, '../..');
const textOf = (path: string) => Bun.file(join(ROOT, path)).text();
const places = placesOf();

/** The lines of code, comments apart, in which a place is spelled. */
async function spelled(pattern: RegExp, list: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of new Glob('src/**/*.ts').scan(ROOT)) {
    const lines = path === list ? [] : (await textOf(path)).split('\n');
    const code = lines.filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
    found.push(...code.filter((line) => pattern.test(line)).map((line) => `${path}: ${line}`));
  }
  return found;
}

test('no place of the product is spelled outside of its list', async () => {
  const ours = /['"`][^'"`]*\/(etc|var\/lib|run|opt|usr\/local\/bin|systemd\/system)\/pipeops/;
  expect(await spelled(ours, 'src/core/places.ts')).toEqual([]);
});

test('no place of k3s is spelled outside of its list', async () => {
  const ofK3s = /\/(rancher|(bin|etc\/default|etc\/sysconfig)\/k3s|etc\/systemd\/system\/k3s)\b/;
  expect(await spelled(ofK3s, 'src/core/k3s-places.ts')).toEqual([]);
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
    program: [`+-${places.executableLink} credentials renew`, `${places.executableLink} run`],
    user: [AGENT_USER, AGENT_USER],
    state: [relative('/var/lib', places.stateDirectory)],
    runtime: [relative('/run', places.ownRuntimeDirectory)],
  });
});

test('install.sh puts versions and the link where the program does', async () => {
  const script = await textOf('install.sh');
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(script)?.[1];
  expect([value('VERSIONS_DIRECTORY'), value('LINK')]).toEqual([
    places.versionsDirectory,
    places.executableLink,
  ]);
});

test('the daemon of the unit finds its files where root puts them', () => {
  const env = {
    STATE_DIRECTORY: places.stateDirectory,
    RUNTIME_DIRECTORY: places.ownRuntimeDirectory,
  };
  const paths = daemonPaths(env, places.configFile, places);
  expect(paths).toMatchObject({
    controlPlaneToken: places.controlPlaneTokenFile,
    proxyCredentials: places.proxyCredentialsFile,
    kubeconfig: places.kubeconfigFile,
    policy: places.policyFile,
    joinedServer: places.joinedServerFile,
    leaving: places.leavingFile,
    socket: join(places.runtimeDirectory, DAEMON_SOCKET_TARGET),
    localToken: places.localTokenFile,
    hasRootsToken: true,
    wasReady: places.wasReadyFile,
  });
  expect(basename(paths.socket)).toBe(basename(places.socketLink));
  expect(daemonPaths({}, places.configFile, places)).toEqual(paths);
});

test('a daemon with other directories has all of its files in them', () => {
  const env = { STATE_DIRECTORY: '/tmp/state', RUNTIME_DIRECTORY: '/tmp/run' };
  expect(daemonPaths(env, '/tmp/etc/own.yaml', places)).toEqual({
    database: '/tmp/state/agent.db',
    credentials: '/tmp/state/credentials',
    controlPlaneToken: '/tmp/state/credentials/control-plane-token',
    tokenTrial: '/tmp/state/credentials/control-plane-token.trial',
    proxyCredentials: '/tmp/state/credentials/proxy',
    renewedKubernetesToken: '/tmp/state/credentials/kubernetes-token',
    kubeconfig: '/tmp/etc/kubeconfig',
    policy: '/tmp/etc/policy.yaml',
    desired: '/tmp/etc/desired',
    keptObjects: '/tmp/state/kept-objects.json',
    joinedServer: '/tmp/etc/server.json',
    leaving: '/tmp/etc/leaving',
    socket: '/tmp/run/agent.sock',
    localToken: '/tmp/run/local-token',
    hasRootsToken: false,
    wasReady: '/tmp/state/was-ready',
    localCertificate: '/tmp/state/credentials/local-tls.pem',
    metricsCertificate: '/tmp/state/credentials/metrics-tls.pem',
    metricsToken: '/tmp/state/credentials/metrics-token',
  });
});
