import { afterEach, beforeEach, expect, test } from 'bun:test';
import { errorOf, INSTALL_ENV } from '../support/installation.ts';
import { type Ran, type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';
import { makeCertificates } from '../support/tls.ts';

const INSTALL = ['install', '--token-file', '/root/token', '--json'];
const HUB = 'https://hub.test';
const QUAY = 'https://quay.test:5000';
const MIRRORED = [...INSTALL, '--registry-mirror', HUB, '--registry-mirror', `quay.io=${QUAY}`];
const FILE = '/etc/rancher/k3s/registries.yaml';
const CA_FILE = '/etc/rancher/k3s/pipeops-registry-ca.pem';
const PAUSE = 'docker.io/rancher/mirrored-pause:3.6';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  for (const endpoint of [HUB, QUAY]) {
    machine.web.set(`${endpoint}/v2/`, () => Response.json({}));
  }
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (words: readonly string[] = MIRRORED) => machine.run(words, { env: INSTALL_ENV });
const stepsOf = (ran: Ran): readonly string[] =>
  JSON.parse(ran.stdout)
    .steps.filter(({ changed }: { changed: boolean }) => changed)
    .map(({ id }: { id: string }) => id);
const registries = async () => Bun.YAML.parse((await machine.files.readText(FILE)) ?? '');
const put = async (text: string) => {
  await machine.files.makeDirectory('/etc/rancher/k3s', { mode: 0o755 });
  await machine.files.writeAtomic(FILE, text, { mode: 0o640 });
};
const pulls = () => machine.calls.filter(({ argv }) => argv[1] === 'crictl');

test('mirrors are written before k3s starts, and k3s pulls from them in the end', async () => {
  const steps: readonly { readonly id: string }[] = JSON.parse((await install()).stdout).steps;
  const order = ['registries', 'k3s-start', 'node-ready', 'registry-pull'];
  expect(steps.map(({ id }) => id).filter((id) => order.includes(id))).toEqual(order);
  expect(await registries()).toEqual({
    mirrors: { 'docker.io': { endpoint: [HUB] }, 'quay.io': { endpoint: [QUAY] } },
  });
  expect((await machine.files.stat(FILE))?.mode).toBe(0o600);
  expect(pulls().map(({ argv }) => argv.slice(1))).toEqual([['crictl', 'pull', PAUSE]]);
  expect(stepsOf(await install())).toEqual([]);
});

test('other mirrors start k3s again; those of before go, and nothing of others', async () => {
  await install();
  const logins = { configs: { 'quay.test:5000': { auth: { username: 'u', password: 'p' } } } };
  const text = (await machine.files.readText(FILE)) ?? '';
  const [mark = ''] = text.split('\n');
  await put(`${mark}\n${JSON.stringify({ ...((await registries()) as object), ...logins })}`);
  const again = [...INSTALL, '--registry-mirror', `quay.io=${QUAY}`];
  expect(stepsOf(await install(again))).toEqual(
    expect.arrayContaining(['registries', 'k3s-start']),
  );
  expect(await registries()).toEqual({ mirrors: { 'quay.io': { endpoint: [QUAY] } }, ...logins });
});

test("a person's file keeps what is in it, and is as before at the end", async () => {
  const theirs = 'mirrors:\n  ghcr.io: {endpoint: [https://a.test]}\nconfigs: # mine\n  x: {}\n';
  await put(theirs);
  const before = await machine.listing();
  await install();
  expect(await registries()).toEqual({
    mirrors: {
      'ghcr.io': { endpoint: ['https://a.test'] },
      'docker.io': { endpoint: [HUB] },
      'quay.io': { endpoint: [QUAY] },
    },
    configs: { x: {} },
  });
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  const { '/cluster/account': _, ...left } = await machine.listing();
  expect(left).toEqual(before);
});

test('a login that would become another text is not written anew', async () => {
  const login = (password: string) =>
    `configs:\n  quay.test:\n    auth: {username: u, password: ${password}}\n`;
  await put(login('0123456'));
  expect(errorOf(await install())).toMatchObject({
    code: 'CONFIG_INVALID',
    message: `Cannot add to ${FILE}: configs.quay.test.auth.password is a number without quotes, which could become another one`,
    hint: expect.stringMatching(/^Put it in quotes, which means the same to k3s/),
  });
  expect(await machine.files.readText(FILE)).toBe(login('0123456'));
  await put(login('"0123456"'));
  await install();
  expect(await registries()).toMatchObject({
    configs: { 'quay.test': { auth: { username: 'u', password: '0123456' } } },
  });
});

test('an uninstallation leaves nothing of ours', async () => {
  const before = await machine.listing();
  await install();
  expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
  const { '/cluster/account': _, ...left } = await machine.listing();
  expect(left).toEqual(before);
});

test('--ca-file is trusted for every registry, and where one has an entry of its own', async () => {
  const { ca } = await makeCertificates(['127.0.0.1']);
  await machine.files.writeAtomic('/root/ca.pem', ca, { mode: 0o600 });
  await put(JSON.stringify({ configs: { 'quay.test:5000': { auth: { username: 'u' } } } }));
  await install([...MIRRORED, '--ca-file', '/root/ca.pem']);
  const tls = { ca_file: CA_FILE };
  expect(await registries()).toMatchObject({
    configs: {
      '*': { tls },
      'hub.test': { tls },
      'quay.test:5000': { auth: { username: 'u' }, tls },
    },
  });
  expect(await machine.files.readText(CA_FILE)).toBe(ca);
});

test('an authority that comes later, without mirrors, does not start k3s again', async () => {
  const { ca } = await makeCertificates(['127.0.0.1']);
  await machine.files.writeAtomic('/root/ca.pem', ca, { mode: 0o600 });
  await install(INSTALL);
  const steps = stepsOf(await install([...INSTALL, '--ca-file', '/root/ca.pem']));
  expect(steps.filter((id) => /registr|k3s/.test(id))).toEqual([]);
});

test.each<[string, () => Response, string]>([
  [
    'is no registry',
    () => new Response('', { status: 404 }),
    'it answers 404, which no registry does',
  ],
  [
    'is away',
    () => {
      throw Object.assign(new Error('refused'), { code: 'ConnectionRefused' });
    },
    'it refuses connections',
  ],
])('a mirror that %s is refused before anything is changed', async (_, answer, why) => {
  machine.web.set(`${HUB}/v2/`, answer);
  const before = await machine.listing();
  expect(errorOf(await install())).toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: `Cannot use the registry mirror ${HUB}: ${why}`,
  });
  expect(await machine.listing()).toEqual(before);
});

test.each([
  ['wants a login', 401, 401, 'wants a login'],
  ['lacks the image of k3s', 200, 404, `has no ${PAUSE}`],
])('a mirror that %s is told, and nothing is pulled', async (_, api, image, told) => {
  machine.web.set(`${HUB}/v2/`, () => new Response('', { status: api }));
  machine.web.set(`${HUB}/v2/rancher/`, () => new Response('', { status: image }));
  const ran = await install();
  expect({ exitCode: ran.exitCode, pulls: pulls() }).toEqual({ exitCode: 0, pulls: [] });
  expect(ran.stderr).toContain(`The registry mirror ${HUB} ${told}`);
});

test('k3s that cannot pull is an error with its last words', async () => {
  await install(INSTALL);
  const { programs } = machine;
  const answers: Readonly<Record<string, { exitCode?: number; stdout?: string; stderr?: string }>> =
    {
      '--version': { stdout: 'k3s version v1.36.3+k3s1' },
      crictl: { exitCode: 1, stderr: 'x\nno such host' },
    };
  programs.set('/usr/local/bin/k3s', ([, word = '']) => answers[word] ?? { stdout: 'True' });
  expect(errorOf(await install())).toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: `k3s cannot pull ${PAUSE}: no such host`,
  });
});

test('a mirror with a password, or over http://, is refused without repeating it', async () => {
  for (const mirror of ['https://user:secret@hub.test', 'http://hub.test']) {
    const ran = await install([...INSTALL, '--registry-mirror', mirror]);
    expect(errorOf(ran)).toMatchObject({ exitCode: 3, code: 'CONFIG_INVALID' });
    expect(ran.stdout + ran.stderr).not.toContain('secret');
  }
});
