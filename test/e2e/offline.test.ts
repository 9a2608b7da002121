/**
 * Machines in companies: one whose only way out is a proxy that wants a password, and one without any way
 * out, installed from a bundle, and later with a mirror of Docker Hub inside. Between them and the world stands a firewall that lets nothing else pass.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates, type TestCertificates } from '../support/tls.ts';
import { runCommand } from '../vm/host-command.ts';
import { PAUSE_IMAGE, testImages, WEB_IMAGE } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type ImageRegistry, startImageRegistry } from './image-registry.ts';
import { CA_FILE, installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';
import { startTinyproxy, type Tinyproxy } from './tinyproxy.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const ALL_TIMEOUT_MS = 900_000;
const CHANGE_TIMEOUT_MS = 60_000;
const BUNDLE_FILE = '/root/bundle.tar';
const ENVIRONMENT_FILE = '/etc/systemd/system/k3s.service.env';
const PULLED = 'pipeops/pulled';

const progress = reportProgress('offline');
let stand: Stand;
let proxy: Tinyproxy;
let registry: ImageRegistry;
let mirror: ImageRegistry;
let privateAuthority: TestCertificates;
let directory: string;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('offline');
  directory = await mkdtemp(join(tmpdir(), 'pipeops-offline-'));
  proxy = await startTinyproxy(stand.lab.hostAddress);
  const images = await testImages();
  const repositories = {
    [PULLED]: join(images, 'test-web-2.tar'),
    'rancher/mirrored-pause': join(images, 'pause.tar'),
  };
  const { hostAddress, internet } = stand.lab;
  registry = await startImageRegistry(hostAddress, repositories, internet);
  privateAuthority = await makeCertificates([hostAddress]);
  mirror = await startImageRegistry(hostAddress, repositories, privateAuthority);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await stand?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}, TEST_TIMEOUT_MS);

/** What leaves the machine for anywhere but these ports of the host is refused. */
async function shutIn({ lab }: Stand, machine: Machine, ports: readonly number[]): Promise<void> {
  const rules = [
    'flush table inet shut',
    'add chain inet shut out { type filter hook output priority 0; policy accept; }',
    'add rule inet shut out oifname "lo" accept',
    ...ports.map(
      (port) => `add rule inet shut out ip daddr ${lab.hostAddress} tcp dport ${port} accept`,
    ),
    // Inside the cluster it goes where it wants.
    'add rule inet shut out ip daddr { 10.42.0.0/16, 10.43.0.0/16 } accept',
    'add set inet shut refused { type ipv4_addr . inet_proto; flags dynamic; }',
    'add rule inet shut out add @refused { ip daddr . meta l4proto } reject',
  ];
  await machine.exec(['nft', 'add table inet shut']);
  await machine.exec(['nft', rules.join('\n')]);
}

/** Where to it has refused connections: `address . tcp`. UDP goes to resolvers, which are not there. */
async function refused(machine: Machine): Promise<readonly string[]> {
  const set = await shell(machine, 'nft list set inet shut refused');
  return [...set.matchAll(/[\d.]+ \. tcp/g)].map(([each]) => each).sort();
}

async function shell(machine: Machine, script: string): Promise<string> {
  const { stdout, stderr } = await machine.exec(['sh', '-c', script], { check: false });
  return (stdout + stderr).trim();
}

test(
  'a machine whose only way out is a proxy with a password is installed, registers and pulls through it',
  async () => {
    const machine = await stand.lab.boot({ name: 'proxied', base: 'kubernetes', images: true });
    await stand.equip(machine);
    await shutIn(stand, machine, [proxy.port]);
    const direct = await shell(machine, `curl -sS -m 5 ${stand.mirror.url}/install.sh`);
    expect(direct).toContain('Failed to connect');
    expect(await refused(machine)).toEqual([`${stand.lab.hostAddress} . tcp`]);
    const installed = await progress.phase('install through the proxy', () =>
      installByOneLine(stand, machine, ['--token-file', TOKEN_FILE, '--json'], {
        env: { HTTPS_PROXY: proxy.address, NO_PROXY: '.corp.example' },
      }),
    );
    expect(JSON.parse(installed.stdout)).toMatchObject({ node: 'proxied' });
    // Where the proxy is slow to answer, the checks look whether there is a way around it.
    await machine.exec(['nft', 'flush set inet shut refused']);
    expect((await stand.registeredAgent()).id).not.toBe('');
    const hostOf = (url: string) => new URL(url).host;
    const asked = await proxy.targets();
    for (const url of [stand.releases.url, stand.mirror.url, stand.controlPlaneUrl]) {
      expect(asked).toContain(hostOf(url));
    }

    expect(await shell(machine, `stat -c %a ${ENVIRONMENT_FILE}`)).toBe('600');
    const variables = (await machine.readFile(ENVIRONMENT_FILE)).trim().split('\n').sort();
    // Nothing in it must be encoded.
    const kept = decodeURIComponent(proxy.address);
    expect(variables).toEqual([
      `CONTAINERD_HTTPS_PROXY="${kept}"`,
      `CONTAINERD_HTTP_PROXY="${kept}"`,
      expect.stringMatching(
        new RegExp(`^CONTAINERD_NO_PROXY="localhost,.*${machine.address},.*,\\.corp\\.example"$`),
      ),
    ]);
    const told = `for pid in $(pgrep -x NAME); do tr '\\0' '\\n' < /proc/$pid/environ; done`;
    const proxiesOf = (name: string) =>
      shell(machine, `(${told.replace('NAME', name)}) | grep -c '^HTTPS_PROXY='`);
    expect([await proxiesOf('k3s'), await proxiesOf('containerd')]).toEqual(['0', '1']);

    await progress.phase('pull through the proxy', () =>
      machine.exec(['k3s', 'crictl', 'pull', `${registry.host}/${PULLED}:1`]),
    );
    expect(await proxy.targets()).toContain(registry.host);
    expect(await shell(machine, 'k3s ctr images ls -q')).toContain(`${registry.host}/${PULLED}:1`);
    // Since then nothing has tried to leave without it.
    expect(await refused(machine)).toEqual([]);
    // In no journal and in no argument.
    const seen = await shell(
      machine,
      'journalctl --no-pager -o cat -u k3s -u pipeops-agent; ps -eo args',
    );
    expect(seen).not.toMatch(/p%2Ess|p\.ss/);
  },
  ALL_TIMEOUT_MS,
);

test(
  'a machine without any way out is installed from a bundle, runs a pod, and pulls from a mirror inside',
  async () => {
    const bundle = join(directory, 'bundle.tar');
    const authority = join(directory, 'ca.pem');
    await Bun.write(authority, stand.lab.internet.ca);
    const create = ['bundle', 'create', '--output', bundle, '--k3s-mirror', stand.mirror.url];
    const created = await progress.phase('create the bundle', () =>
      runCommand([stand.releases.release.program, ...create, '--ca-file', authority, '--json'], {
        timeoutMs: TEST_TIMEOUT_MS,
        env: { PIPEOPS_BASE_URL: stand.releases.url },
      }),
    );
    expect(JSON.parse(created.stdout)).toMatchObject({
      k3s_version: stand.mirror.version,
      images: [WEB_IMAGE, PAUSE_IMAGE].sort(),
    });
    const machine = await stand.lab.boot({ name: 'alone', base: 'kubernetes' });
    await machine.copyIn(bundle, BUNDLE_FILE);
    await shutIn(stand, machine, []);
    const asked = stand.mirror.requests.length;

    await machine.exec(['tar', '-xf', BUNDLE_FILE, '-C', '/root', 'pipeops-agent']);
    const verify = ['/root/pipeops-agent', 'bundle', 'verify', BUNDLE_FILE] as const;
    expect((await machine.exec(verify)).stderr).toContain('signed with release key 1');
    const installed = await progress.phase('install from the bundle', () =>
      machine.exec(['/root/pipeops-agent', 'install', '--bundle', BUNDLE_FILE, '--json'], {
        timeoutMs: TEST_TIMEOUT_MS,
        check: false,
      }),
    );
    expect({ ...installed, stdout: JSON.parse(installed.stdout) }).toMatchObject({
      exitCode: 0,
      stdout: { node: 'alone', control_plane: null },
    });
    expect(stand.mirror.requests.slice(asked)).toEqual([]);

    const run = `k3s kubectl run web --image=${WEB_IMAGE} --image-pull-policy=Never`;
    expect(await shell(machine, run)).toContain('created');
    await waitUntil('the pod runs', CHANGE_TIMEOUT_MS, async () =>
      (await shell(machine, 'k3s kubectl get pod web --no-headers')).includes('Running'),
    );

    await machine.writeFile(CA_FILE, privateAuthority.ca);
    await shutIn(stand, machine, [Number(mirror.host.split(':')[1])]);
    const flags = ['--registry-mirror', `https://${mirror.host}`, '--ca-file', CA_FILE];
    const mirrored = await progress.phase('a mirror of Docker Hub', () =>
      machine.exec(['pipeops-agent', 'install', '--bundle', BUNDLE_FILE, ...flags, '--json'], {
        timeoutMs: TEST_TIMEOUT_MS,
        check: false,
      }),
    );
    expect(mirrored).toMatchObject({ exitCode: 0 });
    expect(mirror.requests).toContain('/v2/rancher/mirrored-pause/manifests/3.6');
    await machine.exec(['k3s', 'crictl', 'pull', `docker.io/${PULLED}:1`]);
    expect(mirror.requests.some((path) => path.startsWith(`/v2/${PULLED}/blobs/`))).toBe(true);
    expect(await shell(machine, 'k3s kubectl get pod web --no-headers')).toContain('Running');
  },
  ALL_TIMEOUT_MS,
);
