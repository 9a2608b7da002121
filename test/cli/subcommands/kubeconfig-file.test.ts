/** `kubeconfig --output` and `--merge`: files of people, of which nothing may be lost. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  chmod,
  chown,
  exists,
  lchown,
  mkdir,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cliContext } from '../../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const ROOT = process.getuid?.() === 0;
const ALICE = 1234;
const ACCESS = {
  server: 'https://127.0.0.1:8443/proxy',
  certificate: '-----BEGIN CERTIFICATE-----\n',
  token_file: '/run/pipeops-agent/local-token',
};
const CLUSTER = {
  server: ACCESS.server,
  'certificate-authority-data': Buffer.from(ACCESS.certificate).toString('base64'),
};
const USER = { tokenFile: ACCESS.token_file };
const CONTEXT = { cluster: 'pipeops-agent', user: 'pipeops-agent' };
const MINE = `apiVersion: v1
kind: Config
# of the office
clusters:
- cluster:
    server: https://office.test:6443
  name: office # slow
users:
- name: me
  user:
    token: secret
contexts:
- context: {cluster: office, user: me}
  name: office
current-context: office
preferences: {}
`;

let machine: TempDirectory;
let door: Bun.Server<undefined>;
let access: typeof ACCESS;

beforeEach(async () => {
  machine = await tempDirectory();
  access = ACCESS;
  door = Bun.serve({
    unix: join(machine.path, 'agent.sock'),
    routes: { '/api/k8s/local-access': () => Response.json(access) },
    fetch: () => new Response('', { status: 500 }),
  });
  await put(
    '/etc/passwd',
    `root:x:0:0::/root:/bin/sh\nalice:x:${ALICE}:${ALICE}::/home/alice:/bin/sh\n`,
  );
  await mkdir(at('/home/alice'), { recursive: true });
});
afterEach(async () => {
  await door.stop(true);
  await machine[Symbol.asyncDispose]();
});

const at = (path: string) => join(machine.path, path);

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), text);
}

const read = (path: string) => Bun.file(at(path)).text();
const parsed = async (path: string) => Bun.YAML.parse(await read(path)) as Record<string, unknown>;

/** The door is a socket outside of the machine's root. */
function kubeconfig(words: readonly string[], env: Record<string, string> = {}, uid = 0) {
  const http = (_: string, init?: object) =>
    fetch('http://agent/api/k8s/local-access', { ...init, unix: at('/agent.sock') });
  const cli = cliContext({ root: machine.path, uid, http, env: { HOME: '/root', ...env } });
  return cli.run('kubeconfig', '--local', ...words);
}

test('--output makes the directory, and nobody else can read the file', async () => {
  const ran = await kubeconfig(['--output', '/root/.kube/agent']);
  expect({ exitCode: ran.exitCode, stdout: ran.stdout, stderr: ran.stderr }).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'To use it: kubectl --kubeconfig /root/.kube/agent get pods -A\n',
  });
  expect(await parsed('/root/.kube/agent')).toMatchObject({
    clusters: [{ name: 'pipeops-agent', cluster: CLUSTER }],
    'current-context': 'pipeops-agent',
  });
  const modes = [await stat(at('/root/.kube')), await stat(at('/root/.kube/agent'))];
  expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o600]);
});

test.if(ROOT)('under sudo directory and file belong to whose home it is', async () => {
  await chown(at('/home/alice'), ALICE, ALICE);
  await kubeconfig(['--output', '/home/alice/.kube/agent']);
  await kubeconfig(['--merge'], { SUDO_UID: String(ALICE) });
  for (const path of ['/home/alice/.kube', '/home/alice/.kube/agent', '/home/alice/.kube/config']) {
    const { uid, gid } = await stat(at(path));
    expect([path, uid, gid]).toEqual([path, ALICE, ALICE]);
  }
});

test.if(ROOT).each([
  ['a file', '/tmp/kubeconfig', '/tmp/kubeconfig'],
  ['a link', '/tmp/link', '/tmp/link'],
  ['a directory', '/tmp/of-alice', '/tmp/of-alice/new/kubeconfig'],
])('%s of somebody else in /tmp gets no kubeconfig of root', async (_, trap, output) => {
  await mkdir(at('/tmp/of-alice'), { recursive: true });
  await chmod(at('/tmp'), 0o1777);
  await put('/tmp/kubeconfig', '');
  await symlink('../home/alice/mine', at('/tmp/link'));
  await lchown(at(trap), ALICE, ALICE);
  const ran = await kubeconfig(['--output', output]);
  expect([ran.exitCode, ran.stderr]).toEqual([
    4,
    `pipeops-agent: error: ${trap} belongs to somebody else, in a directory that is open to all [FILE_ACCESS]\n` +
      'pipeops-agent: hint: Name another place with --output\n',
  ]);
  expect([await read('/tmp/kubeconfig'), await exists(at('/home/alice/mine'))]).toEqual([
    '',
    false,
  ]);
  const asAlice = await kubeconfig(['--output', output], { SUDO_UID: String(ALICE) });
  expect(asAlice.exitCode).toBe(0);
});

test('--merge makes the usual file where there is none, and uses it', async () => {
  expect((await kubeconfig(['--merge'])).stderr).toBe(
    'Context "pipeops-agent" is in /root/.kube/config; the current one is "pipeops-agent"\n' +
      'To use it: kubectl --context pipeops-agent get pods -A\n',
  );
  expect(await parsed('/root/.kube/config')).toEqual({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'pipeops-agent', cluster: CLUSTER }],
    users: [{ name: 'pipeops-agent', user: USER }],
    contexts: [{ name: 'pipeops-agent', context: CONTEXT }],
    'current-context': 'pipeops-agent',
  });
});

test('--merge loses nothing, not even a comment, and changes nothing the second time', async () => {
  await put('/root/.kube/config', MINE);
  expect((await kubeconfig(['--merge'])).stderr).toContain('the current one is "office"');
  const merged = await read('/root/.kube/config');
  const before = Bun.YAML.parse(MINE) as Record<string, unknown[]>;
  expect(Bun.YAML.parse(merged)).toEqual({
    ...before,
    clusters: [{ name: 'pipeops-agent', cluster: CLUSTER }, ...(before['clusters'] ?? [])],
    users: [{ name: 'pipeops-agent', user: USER }, ...(before['users'] ?? [])],
    contexts: [{ name: 'pipeops-agent', context: CONTEXT }, ...(before['contexts'] ?? [])],
  });
  expect(MINE.split('\n').filter((line) => !merged.split('\n').includes(line))).toEqual([]);
  await kubeconfig(['--merge']);
  expect(await read('/root/.kube/config')).toBe(merged);
});

test('--merge takes over a new certificate, and --set-current is asked for', async () => {
  await put('/root/.kube/config', MINE);
  await kubeconfig(['--merge']);
  access = { ...ACCESS, certificate: 'another' };
  const ran = await kubeconfig(['--merge', '--set-current']);
  expect(ran.stderr).toContain('the current one is "pipeops-agent"');
  const merged = await parsed('/root/.kube/config');
  expect(merged['clusters']).toHaveLength(2);
  expect(merged).toMatchObject({
    clusters: [
      { cluster: { 'certificate-authority-data': Buffer.from('another').toString('base64') } },
      { name: 'office' },
    ],
    'current-context': 'pipeops-agent',
  });
  expect(await read('/root/.kube/config')).toContain('# of the office');
});

test('--merge keeps the file as it was where comments cannot be kept', async () => {
  const flow = '# mine\n{"clusters": [], "users": [{"name": "me", "user": {}}]}\n';
  await put('/root/.kube/config', flow);
  const ran = await kubeconfig(['--merge']);
  const backup = '/root/.kube/config.before-pipeops-agent';
  expect(ran.stderr).toContain(`as it was, it stands in ${backup}`);
  expect(await read(backup)).toBe(flow);
  expect(await parsed('/root/.kube/config')).toMatchObject({
    users: [{ name: 'me' }, { name: 'pipeops-agent' }],
  });
});

test.each([
  ['what is no YAML', 'clusters: ['],
  ['what is no kubeconfig', '- a\n'],
  ['a list that is none', 'clusters: {}\n'],
  [
    'a login that it would write anew as another',
    '{"clusters": [], "users": [{"name": "me", "user": {"token": 0123456}}]}\n',
  ],
  ['another cluster of that name', MINE.replaceAll('office', 'pipeops-agent')],
])('--merge leaves %s alone', async (_, text) => {
  await put('/root/.kube/config', text);
  const ran = await kubeconfig(['--merge']);
  expect([ran.exitCode, ran.stdout]).toEqual([4, '']);
  expect(ran.stderr).toContain('[FILE_ACCESS]');
  expect(await read('/root/.kube/config')).toBe(text);
});

test('--merge goes into the file that KUBECONFIG or --output names, through links', async () => {
  await put('/root/dotfiles/config', MINE);
  await mkdir(at('/root/.kube'));
  await symlink('../dotfiles/config', at('/root/.kube/config'));
  await kubeconfig(['--merge']);
  expect(await read('/root/dotfiles/config')).toContain('pipeops-agent');
  expect(await readlink(at('/root/.kube/config'))).toBe('../dotfiles/config');
  await kubeconfig(['--merge'], { KUBECONFIG: '/root/a:/root/b' });
  await kubeconfig(['--merge', '--output', '/root/c'], { KUBECONFIG: '/root/a' });
  expect([await parsed('/root/a'), await parsed('/root/c')]).toEqual([
    expect.objectContaining({ kind: 'Config' }),
    expect.objectContaining({ kind: 'Config' }),
  ]);
});

test('--set-current goes with --merge only', async () => {
  const ran = await kubeconfig(['--set-current']);
  expect([ran.exitCode, ran.stdout]).toEqual([2, '']);
  expect(ran.stderr).toContain('--set-current goes with --merge [USAGE]');
});
