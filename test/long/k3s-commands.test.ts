/** What the k3s for tests answers to the commands of an administrator, beside `etcd-snapshot`. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../vm/host-command.ts';
import { installK3s, waitForNode } from '../vm/k3s-install.ts';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import { type Lab, openLab } from '../vm/lab.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const COMMAND_TIMEOUT_MS = 90_000;

const DATA = '/var/lib/rancher/k3s';
const TOKEN_FILE = '/etc/example-token';
const NEW_TOKEN = 'another-server-token';
const CLEAR_TEXT = 'only-a-test-secret-7c1d';

const progress = reportProgress('k3s-commands.test');
let lab: Lab;
let mirror: K3sMirror;
let server: Machine;
let worker: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'k3s-commands' });
  mirror = await startK3sMirror({ hostname: lab.hostAddress });
  const boot = (name: string) => lab.boot({ name, base: 'kubernetes', images: true });
  [server, worker] = await progress.phase('boot', () =>
    Promise.all([boot('server'), boot('worker')]),
  );
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function k3s(...args: string[]): Promise<string> {
  return (await server.exec(['k3s', ...args], { timeoutMs: COMMAND_TIMEOUT_MS })).stdout;
}

async function restart(machine: Machine, unit: string): Promise<void> {
  await machine.exec(['systemctl', 'restart', unit], { timeoutMs: COMMAND_TIMEOUT_MS });
}

test(
  'secrets, tokens, certificates and node passwords',
  async () => {
    await lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-k3s-commands-test'), async () => {
      await progress.phase('install', async () => {
        const config = { 'node-ip': server.address, 'secrets-encryption': 'true' };
        await installK3s(server, mirror, { role: 'server', config });
        await waitForNode(server, 'server');
      });
      await progress.phase('secrets-encrypt', encryptSecrets);
      await progress.phase('secrets-encrypt in three steps', encryptInSteps);
      await progress.phase('token', useTokens);
      await progress.phase('node password', changeNodePassword);
      await progress.phase('unique node name', useNodeId);
      await progress.phase('certificate', rotateCertificates);
      await progress.phase('certificate rotate-ca', rotateAuthorities);
    });
  },
  TEST_TIMEOUT_MS,
);

async function isInDatastore(text: string): Promise<boolean> {
  // A row that was overwritten stays until it is compacted: what was read last counts.
  await server.exec(['systemctl', 'stop', 'k3s']);
  const { exitCode } = await server.exec(['grep', '-aqr', text, `${DATA}/server/db`], {
    check: false,
  });
  await server.exec(['systemctl', 'start', 'k3s'], { timeoutMs: COMMAND_TIMEOUT_MS });
  return exitCode === 0;
}

async function encryptSecrets(): Promise<void> {
  const secret = ['create', 'secret', 'generic', 'example', `--from-literal=key=${CLEAR_TEXT}`];
  await k3s('kubectl', ...secret);
  expect(await isInDatastore(CLEAR_TEXT)).toBe(false);
  expect(JSON.parse(await k3s('secrets-encrypt', 'status', '-o', 'json'))).toEqual({
    ...{ stage: 'start', activekey: 'AES-CBC aescbckey', enable: true, hashmatch: true },
  });
  expect(await k3s('secrets-encrypt', 'rotate-keys')).toBe('keys rotated, reencryption started\n');
  const status = await k3s('secrets-encrypt', 'status');
  expect(status).toContain(
    'Encryption Status: Enabled\nCurrent Rotation Stage: reencrypt_finished',
  );
  expect(status).toMatch(/ \* +AES-CBC +aescbckey-2\d{3}-/);
  await restart(server, 'k3s');
  const path = ['-o', 'jsonpath={.data.key}'];
  expect(await k3s('kubectl', 'get', 'secret', 'example', ...path)).toBe(btoa(CLEAR_TEXT));
  expect(await k3s('secrets-encrypt', 'disable')).toBe('secrets-encryption disabled\n');
  expect(await isInDatastore(btoa(CLEAR_TEXT))).toBe(false);
  expect(await isInDatastore(CLEAR_TEXT)).toBe(true);
  expect(await k3s('secrets-encrypt', 'enable')).toBe('secrets-encryption enabled\n');
}

/** The older way to another key, with a restart after each step. */
async function encryptInSteps(): Promise<void> {
  const status = async () => {
    const shown = JSON.parse(await k3s('secrets-encrypt', 'status', '-o', 'json'));
    const keys = [shown.activekey, ...(shown.inactivekeys ?? [])] as readonly string[];
    return { stage: shown.stage as string, keys };
  };
  const { keys: before } = await status();
  const early = await server.exec(['k3s', 'secrets-encrypt', 'reencrypt'], { check: false });
  expect(early.stderr).toContain('incorrect stage: start found on node server');

  expect(await k3s('secrets-encrypt', 'prepare')).toBe('prepare completed successfully\n');
  await restart(server, 'k3s');
  const prepared = await status();
  expect(prepared).toEqual({ stage: 'prepare', keys: [...before, expect.any(String)] });
  expect(await k3s('secrets-encrypt', 'rotate')).toBe('rotate completed successfully\n');
  await restart(server, 'k3s');
  const added = prepared.keys.at(-1) ?? '';
  expect(await status()).toEqual({ stage: 'rotate', keys: [added, ...before] });
  expect(await k3s('secrets-encrypt', 'reencrypt')).toBe('reencryption started\n');
  await waitUntil('secrets are written anew', COMMAND_TIMEOUT_MS, async () => {
    return (await status()).stage === 'reencrypt_finished';
  });
  await restart(server, 'k3s');
  expect(await status()).toEqual({ stage: 'reencrypt_finished', keys: [added] });
  const path = ['-o', 'jsonpath={.data.key}'];
  expect(await k3s('kubectl', 'get', 'secret', 'example', ...path)).toBe(btoa(CLEAR_TEXT));
}

async function joinWorker(token: string): Promise<void> {
  await worker.writeFile(TOKEN_FILE, token, { mode: 0o600 });
  const config = {
    server: `https://${server.address}:6443`,
    'token-file': TOKEN_FILE,
    'node-ip': worker.address,
  };
  await installK3s(worker, mirror, { role: 'agent', config });
}

async function useTokens(): Promise<void> {
  const made = (await k3s('token', 'create', '--ttl', '10m', '--description', 'one')).trim();
  const id = /::([a-z0-9]{6})\./.exec(made)?.[1] ?? '';
  expect(await k3s('token', 'list')).toMatch(new RegExp(`${id} +[89]m.* one `));
  const again = await server.exec(['k3s', 'token', 'create', made.split('::')[1] ?? ''], {
    check: false,
  });
  expect(again.stderr).toContain(`a token with id \\"${id}\\" already exists`);
  expect(await k3s('token', 'generate')).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}\n$/);
  expect(await k3s('token', 'delete', id)).toBe(`bootstrap token "${id}" deleted\n`);

  const old = await server.readFile(`${DATA}/server/token`);
  const said = await k3s('token', 'rotate', '--new-token', NEW_TOKEN);
  expect(said).toEndWith('Token rotated, restart k3s nodes with new token\n');
  await restart(server, 'k3s');
  const ofServer = await server.readFile(`${DATA}/server/token`);
  expect(ofServer).toEndWith(`::server:${NEW_TOKEN}\n`);
  const refused = await server.exec(['k3s', 'secrets-encrypt', 'status', '--token', old.trim()], {
    check: false,
  });
  expect(refused.stderr).toContain('401 Unauthorized');
  await joinWorker(ofServer);
  await waitForNode(server, 'worker');
}

async function changeNodePassword(): Promise<void> {
  await worker.writeFile('/etc/rancher/node/password', 'of-another-machine\n', { mode: 0o600 });
  await worker.exec(['systemctl', 'restart', '--no-block', 'k3s-agent']);
  await waitUntil('the worker is refused', COMMAND_TIMEOUT_MS, async () =>
    (await worker.journal({ unit: 'k3s-agent' })).includes('Node password rejected, duplicate'),
  );
  await k3s('kubectl', 'delete', 'secret', '-n', 'kube-system', 'worker.node-password.k3s');
  await waitUntil('the worker is taken', COMMAND_TIMEOUT_MS, async () => {
    const { stdout } = await worker.exec(['systemctl', 'is-active', 'k3s-agent'], { check: false });
    return stdout.trim() === 'active';
  });
}

/** What the refusal of a password advises: the same machine, under a name that no other one has. */
async function useNodeId(): Promise<void> {
  const config = '/etc/rancher/k3s/config.yaml.d/60-node-id.yaml';
  await worker.writeFile(config, 'with-node-id: true\n', { mode: 0o600 });
  await restart(worker, 'k3s-agent');
  const id = await worker.readFile('/etc/rancher/node/id');
  expect(id).toMatch(/^[0-9a-f]{8}\n$/);
  await waitForNode(server, `worker-${id.trim()}`);
  await restart(worker, 'k3s-agent');
  expect(await worker.readFile('/etc/rancher/node/id')).toBe(id);
  await worker.exec(['rm', config]);
  await restart(worker, 'k3s-agent');
}

async function rotateCertificates(): Promise<void> {
  const admin = `${DATA}/server/tls/client-admin.crt`;
  const before = await server.readFile(admin);
  const checked = JSON.parse(await k3s('certificate', 'check', '-o', 'json')) as {
    readonly Certificates: readonly { readonly Filename: string; readonly Status: string }[];
  };
  expect(checked.Certificates.map(({ Filename }) => Filename)).toContain('client-admin.crt');
  expect(checked.Certificates.filter(({ Status }) => Status !== 'OK')).toEqual([]);
  expect(await k3s('certificate', 'check', '-o', 'table')).toMatch(
    /\nFILENAME .* STATUS\n(.*\n)*client-admin\.crt +system:admin +ClientAuth .* OK\n/,
  );
  const text = await server.exec(['k3s', 'certificate', 'check']);
  expect(text.stderr).toContain(
    'client-admin.crt: certificate system:admin (ClientAuth) is ok, expires at 20',
  );
  await server.exec(['systemctl', 'stop', 'k3s']);
  const { stderr } = await server.exec(['k3s', 'certificate', 'rotate']);
  expect(stderr).toMatch(
    /Successfully backed up certificates to .*\/server\/tls-\d+, please restart/,
  );
  await server.exec(['systemctl', 'start', 'k3s'], { timeoutMs: COMMAND_TIMEOUT_MS });
  expect(await server.readFile(admin)).not.toBe(before);
  await waitForNode(server, 'server');
  await waitForNode(server, 'worker');
}

/** A new authority for servers: first as a stranger, then signed by the present one. */
async function rotateAuthorities(): Promise<void> {
  const tls = `${DATA}/server/tls`;
  const given = '/root/new/tls';
  const old = await server.readFile(`${tls}/server-ca.crt`);
  const cert = await signedBy(old, await server.readFile(`${tls}/server-ca.key`));
  await server.writeFile(`${given}/server-ca.key`, cert.key, { mode: 0o600 });
  await server.writeFile(`${given}/server-ca.crt`, cert.crt);
  const rotate = () =>
    server.exec(['k3s', 'certificate', 'rotate-ca', '--path', '/root/new'], { check: false });
  expect((await rotate()).stderr).toContain(
    'new CA bundle contains only a single certificate but should include root or intermediate CA certificates',
  );
  await server.writeFile(`${given}/server-ca.crt`, cert.crt + old);
  expect(await rotate()).toMatchObject({
    exitCode: 0,
    stdout: 'certificates saved to datastore\n',
  });
  expect(await server.readFile(`${tls}/server-ca.crt`)).toBe(old);
  await restart(server, 'k3s');
  expect(await server.readFile(`${tls}/server-ca.crt`)).toBe(cert.crt + old);
  const shown = ['openssl', 's_client', '-connect', `${server.address}:6443`, '-showcerts'];
  const { stdout } = await runCommand(shown, { check: false });
  expect(stdout).toContain('issuer=CN = a new authority');
  await waitForNode(server, 'server');
  await waitForNode(server, 'worker'); // It trusts what is still in the bundle.
}

async function signedBy(ca: string, caKey: string): Promise<{ crt: string; key: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-k3s-ca-'));
  const at = (name: string) => join(directory, name);
  try {
    await writeFile(at('ca.crt'), ca);
    await writeFile(at('ca.key'), caKey);
    await writeFile(
      at('extensions'),
      'basicConstraints=critical,CA:true\nkeyUsage=critical,digitalSignature,keyEncipherment,keyCertSign\n',
    );
    const openssl = (...args: readonly string[]) => runCommand(['openssl', ...args]);
    await openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', at('key'));
    const request = ['-subj', '/CN=a new authority', '-key', at('key'), '-out', at('csr')];
    await openssl('req', '-new', ...request);
    await openssl(
      ...['x509', '-req', '-in', at('csr'), '-days', '3650', '-CAcreateserial'],
      ...['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-extfile', at('extensions')],
      ...['-out', at('crt')],
    );
    const read = (name: string) => Bun.file(at(name)).text();
    return { crt: await read('crt'), key: await read('key') };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
