import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { BUILD } from '../../src/core/version.ts';
import { decodeJoinToken, encodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import { errorOf, JOIN_TOKEN } from '../support/installation.ts';
import { nextKill, SWEEP_TIMEOUT_MS } from '../support/sampled.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import {
  CONTROL_PLANE,
  IMAGES,
  imageArchive,
  MIRROR,
  type Ran,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';
import { makeCertificates } from '../support/tls.ts';

const VERSION = 'v1.36.3+k3s1';
const BUNDLE = '/root/bundle.tar';
const CREATE = ['bundle', 'create', '--output', BUNDLE, '--k3s-mirror', MIRROR, '--json'];
const INSTALL = ['install', '--bundle', BUNDLE, '--token-file', '/root/token', '--json'];
const ENV = { PIPEOPS_API_URL: CONTROL_PLANE };
const IMAGES_FILE = '/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar';
/** More than an installation makes. */
const CHANGES_MAX = 300;
const LIMIT_BYTES = 16 * 1024 * 1024;

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const documentOf = (ran: Ran) => ({ exitCode: ran.exitCode, ...JSON.parse(ran.stdout) });
const release = (name: string) => `${MIRROR}/download/${encodeURIComponent(VERSION)}/${name}`;

/** From here on nothing answers but this machine itself and its control plane. */
function cutOff(): void {
  for (const address of machine.web.keys()) {
    if (address.startsWith(MIRROR)) {
      machine.web.delete(address);
    }
  }
}

describe('bundle create', () => {
  test('puts program, k3s and its images into one file, and leaves nothing else', async () => {
    const before = await machine.files.list('/root');
    const created = documentOf(await machine.run(CREATE));
    expect(created).toMatchObject({
      exitCode: 0,
      path: BUNDLE,
      architecture: 'amd64',
      k3s_version: VERSION,
      images: IMAGES.toSorted(),
    });
    expect(created.files.map(({ name }: { name: string }) => name)).toEqual([
      'pipeops-agent',
      'k3s',
      'k3s-install.sh',
      'k3s-images.txt',
      'k3s-airgap-images-amd64.tar',
    ]);
    expect(await machine.files.list('/root')).toEqual([...before, 'bundle.tar'].sort());
    const verified = documentOf(await machine.run(['bundle', 'verify', BUNDLE, '--json']));
    expect(verified).toEqual(created);
  });

  test('is called by its version and architecture where nobody names it', async () => {
    await machine.files.makeDirectory(process.cwd(), { mode: 0o755 });
    const words = CREATE.filter((word) => word !== '--output' && word !== BUNDLE);
    expect(documentOf(await machine.run(words))).toMatchObject({
      exitCode: 0,
      path: resolve(`pipeops-bundle-${BUILD.version}-amd64.tar`),
    });
  });

  test.if(process.getuid?.() === 0)(
    'uses nothing that somebody else has put into /tmp',
    async () => {
      await machine.files.makeDirectory('/tmp', { mode: 0o1777 });
      await machine.files.changeMode('/tmp', 0o1777);
      await machine.files.claimDirectory('/tmp/b.tar.parts', { mode: 0o755, owner: '1234:1234' });
      const words = [
        'bundle',
        'create',
        '--output',
        '/tmp/b.tar',
        '--k3s-mirror',
        MIRROR,
        '--json',
      ];
      expect(errorOf(await machine.run(words))).toMatchObject({
        code: 'FILE_ACCESS',
        message: '/tmp/b.tar.parts belongs to somebody else, in a directory that is open to all',
      });
      expect(await machine.files.list('/tmp/b.tar.parts')).toEqual([]);
    },
  );

  test('goes on with what has come', async () => {
    const archive = release('k3s-airgap-images-amd64.tar');
    machine.web.set(archive, () => new Response('', { status: 404 }));
    expect(errorOf(await machine.run(CREATE))).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    machine.web.delete(archive);
    machine.web.set(release('k3s'), () => {
      throw new Error('it is here already');
    });
    // It would be asked for where its name is not longer.
    const rest = machine.web.get(`${MIRROR}/download/`);
    for (const name of ['k3s-airgap-images-amd64.tar', 'k3s-images.txt']) {
      machine.web.set(release(name), (url, init) => rest?.(url, init) ?? new Response());
    }
    expect(documentOf(await machine.run(CREATE))).toMatchObject({ exitCode: 0 });
  });

  test('refuses an archive that lacks an image of the list, and one that is none', async () => {
    const text = imageArchive(IMAGES.slice(0, 1));
    for (const [content, message] of [
      [text, `The archive of images lacks ${IMAGES[1]}`],
      ['no archive', 'is no archive of images'],
    ] as const) {
      const sum = new Bun.CryptoHasher('sha256').update(content).digest('hex');
      const list = IMAGES.map((image) => `${image}\n`).join('');
      const listSum = new Bun.CryptoHasher('sha256').update(list).digest('hex');
      const program = new Bun.CryptoHasher('sha256').update(VERSION).digest('hex');
      const sums =
        `${program}  k3s\n${sum}  k3s-airgap-images-amd64.tar\n` + `${listSum}  k3s-images.txt\n`;
      machine.web.set(release('sha256sum-amd64.txt'), () => new Response(sums));
      machine.web.set(release('k3s-airgap-images-amd64.tar'), () => new Response(content));
      expect(errorOf(await machine.run(CREATE))).toMatchObject({
        code: 'DOWNLOAD_CORRUPT',
        message: expect.stringContaining(message),
      });
      expect(await machine.files.stat(BUNDLE)).toBeUndefined();
    }
  });

  test('asks for the program of another architecture', async () => {
    expect(errorOf(await machine.run([...CREATE, '--architecture', 'arm64']))).toMatchObject({
      exitCode: 2,
      code: 'USAGE',
      hint: expect.stringContaining('--executable FILE'),
    });
    expect(errorOf(await machine.run([...CREATE, '--architecture', 'mips']))).toMatchObject({
      exitCode: 2,
      message: 'There is no bundle for "mips"',
    });
  });
});

describe('install --bundle', () => {
  beforeEach(async () => {
    expect((await machine.run(CREATE)).exitCode).toBe(0);
    cutOff();
  });

  test.each([
    ['install', INSTALL],
    ['bundle install', ['bundle', 'install', BUNDLE, '--token-file', '/root/token', '--json']],
  ])('as %s asks no network for anything, and a second run changes nothing', async (_, words) => {
    const ran = documentOf(await machine.run(words, { env: ENV }));
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(ran.steps.map(({ id }: { id: string }) => id)).toEqual(
      expect.arrayContaining([
        'k3s-install',
        'bundle-images',
        'k3s-start',
        'bundle-images-imported',
      ]),
    );
    expect(await machine.files.readText(IMAGES_FILE)).toBe(imageArchive(IMAGES));
    const installer = machine.calls.find(({ argv }) => argv[0] === 'sh');
    expect(installer?.env).toEqual({
      INSTALL_K3S_EXEC: 'server',
      INSTALL_K3S_VERSION: VERSION,
      INSTALL_K3S_SKIP_ENABLE: 'true',
      INSTALL_K3S_SKIP_START: 'true',
      INSTALL_K3S_SKIP_DOWNLOAD: 'true',
    });
    const again = documentOf(await machine.run(words, { env: ENV }));
    expect(again.steps.filter(({ changed }: { changed: boolean }) => changed)).toEqual([]);
  });

  test('leaves nothing behind when it is uninstalled', async () => {
    const before = await machine.listing();
    await machine.run(INSTALL, { env: ENV });
    expect((await machine.run(['uninstall', '--yes'])).exitCode).toBe(0);
    const { '/cluster/account': _, ...left } = await machine.listing();
    expect(left).toEqual(before);
  });

  test('places the images before k3s starts', async () => {
    const ran = documentOf(await machine.run([...INSTALL, '--dry-run'], { env: ENV }));
    const ids = ran.plan.map(({ id }: { id: string }) => id);
    const wanted = ['k3s-install', 'bundle-images', 'k3s-start', 'node-ready'];
    expect(ids.filter((id: string) => wanted.includes(id))).toEqual(wanted);
  });

  test('tells of a policy of SELinux that nobody will fetch', async () => {
    await machine.put('/sys/fs/selinux/enforce', '1');
    const installed = await machine.run(INSTALL, { env: ENV });
    expect(installed.stderr).toContain(
      'SELinux is enforcing, and the rules of k3s are not installed',
    );
  });

  test('that was cut off changes nothing', async () => {
    const bytes = (await machine.files.readBytes(BUNDLE, LIMIT_BYTES)) ?? new Uint8Array();
    await machine.files.writeAtomic(BUNDLE, bytes.subarray(0, -2_000), { mode: 0o600 });
    const before = await machine.listing();
    expect(errorOf(await machine.run(INSTALL, { env: ENV }))).toMatchObject({
      exitCode: 6,
      code: 'BUNDLE_INVALID',
    });
    expect(await machine.listing()).toEqual(before);
  });

  test('refuses another version of k3s than it holds, and a file that is not there', async () => {
    const other = [...INSTALL, '--k3s-version', 'v1.30.0+k3s1'];
    expect(errorOf(await machine.run(other, { env: ENV }))).toMatchObject({
      code: 'USAGE',
      message: `${BUNDLE} holds k3s ${VERSION}, not v1.30.0+k3s1`,
    });
    const none = ['install', '--bundle', '/root/none.tar', '--json'];
    expect(errorOf(await machine.run(none, { env: ENV }))).toMatchObject({
      code: 'FILE_ACCESS',
      message: 'There is no file /root/none.tar',
    });
  });

  test('tells which images k3s has not imported', async () => {
    machine.programs.set('/usr/local/bin/k3s', (argv) => {
      const line = argv.slice(1).join(' ');
      const answers: Readonly<Record<string, string>> = {
        '--version': `k3s version ${VERSION}`,
        'ctr images ls -q': IMAGES[0] ?? '',
      };
      return { stdout: answers[line] ?? 'True' };
    });
    const ran = await machine.run(INSTALL, { env: ENV, clock: scaledClock(1_000) });
    expect(errorOf(ran)).toMatchObject({
      code: 'K3S_NOT_READY',
      message: `k3s has not imported the images: ${IMAGES[1]}`,
    });
  });
});

describe('join --bundle', () => {
  const join = ['join', '--token', '-', '--bundle', BUNDLE, '--json'];

  test('makes a worker, and asks nobody but its server', async () => {
    expect((await machine.run(CREATE)).exitCode).toBe(0);
    cutOff();
    const ran = await machine.run(join, { stdin: JOIN_TOKEN });
    expect(documentOf(ran)).toMatchObject({ exitCode: 0, role: 'agent' });
    expect(await machine.files.readText(IMAGES_FILE)).toBe(imageArchive(IMAGES));
  });

  test('refuses a k3s that is newer than that of the server', async () => {
    expect((await machine.run(CREATE)).exitCode).toBe(0);
    const stdin = encodeJoinToken({ ...decodeJoinToken(JOIN_TOKEN), k3s: 'v1.35.9+k3s1' });
    expect(errorOf(await machine.run(join, { stdin }))).toMatchObject({
      code: 'USAGE',
      message: `The bundle holds k3s ${VERSION}, and the server runs v1.35.9+k3s1`,
    });
  });
});

test(
  'wherever an installation with a bundle and a mirror is killed, --undo leaves the machine as it was',
  async () => {
    expect((await machine.run(CREATE)).exitCode).toBe(0);
    cutOff();
    machine.web.set('https://hub.test/v2/', () => Response.json({}));
    const { ca } = await makeCertificates(['127.0.0.1']);
    await machine.files.writeAtomic('/root/ca.pem', ca, { mode: 0o600 });
    const flags = ['--registry-mirror', 'hub.test', '--ca-file', '/root/ca.pem'];
    const before = await machine.tree();
    let change = 1;
    for (; change < CHANGES_MAX; change = nextKill(change)) {
      machine.killAt(change);
      if ((await machine.run([...INSTALL, ...flags], { env: ENV })).exitCode === 0) {
        break;
      }
      const isRunning = machine.units.get('pipeops-agent.service') === 'active';
      await machine.run(isRunning ? ['uninstall', '--yes'] : ['install', '--undo', '--yes']);
      const { '/cluster': _, '/cluster/account': __, ...left } = await machine.tree();
      expect({ change, left }).toEqual({ change, left: before });
    }
    expect(change).toBeWithin(30, CHANGES_MAX);
  },
  SWEEP_TIMEOUT_MS,
);
