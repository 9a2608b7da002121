/**
 * Root's helper on a real machine, behind systemd: who gets what of it, that it is gone when idle, and how it
 * keeps k3s alive.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { daysLeft, shortenCertificate } from './short-certificate.ts';
import { installByOneLine, openStand, readyNodes, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
/** What is promised: gone so soon after a request. */
const GONE_TIMEOUT_MS = 30_000;
/** It looks every half minute. */
const DESIRED_TIMEOUT_MS = 90_000;
const SOCKET = '/run/pipeops-agent-helper.sock';
const POLICY = '/root/policy.yaml';

const progress = reportProgress('helper');
let stand: Stand;
let server: Machine;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('helper');
  server = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

test(
  'the control plane gets join tokens by the helper, where root allows it',
  async () => {
    await stand.equip(server);
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-helper'), async () => {
      const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'helper', '--json'];
      await progress.phase('install', () => installByOneLine(stand, server, args));
      agentId = (await stand.registeredAgent()).id;
      await desire();
      await progress.phase('a join token is refused', refuseToken);
      await progress.phase('a join token', mintToken);
      await progress.phase('a support bundle', makeSupportBundle);
      await progress.phase('another token of the control plane', rotateToken);
      await progress.phase('others are kept out', refuseOthers);
      await progress.phase('gone when idle', goneWhenIdle);
      await progress.phase('a desired object is there', loseDesired);
      await progress.phase('certificates with 10 days left', renewCertificates);
      await progress.phase('it is brought back', desireNoMore);
      await progress.phase('another address', changeAddress);
      await progress.phase('it is desired no more', () => isKept(''));
      await progress.phase('uninstall', uninstall);
    });
  },
  TEST_TIMEOUT_MS,
);

async function run(type: string, payload: Record<string, unknown>) {
  const id = await stand.command(agentId, type, payload);
  const { result, extra_results } = await stand.finished(agentId, id);
  expect(extra_results).toBe(0);
  return { ...result, id } as Record<string, unknown>;
}

const sh = async (script: string) => (await server.exec(['sh', '-c', script])).stdout.trim();

async function refuseToken(): Promise<void> {
  expect(await run('join_token', {})).toMatchObject({
    success: false,
    error_code: 'POLICY_DENIED',
  });
  expect(await sh('test -e /var/lib/pipeops-agent-host/helper.jsonl; echo $?')).toBe('1');
}

async function mintToken(): Promise<void> {
  await server.writeFile(POLICY, 'preset: standard\nhost: { join_token: allow }\n');
  await server.exec(['pipeops-agent', 'policy', 'apply', '--file', POLICY]);
  const startedAt = performance.now();
  const result = await run('join_token', { ttl_seconds: 120 });
  const data = {
    token: expect.stringMatching(/^pj1\./),
    id: expect.stringMatching(/^[a-z0-9]{6}$/),
    role: 'agent',
    expires: expect.any(String),
    servers: expect.any(Array),
  };
  expect(result).toMatchObject({ success: true, data });
  process.stderr.write(`a join token: ${Math.round(performance.now() - startedAt)} ms\n`);
  const { tokens } = JSON.parse(
    (await server.exec(['pipeops-agent', 'token', 'list', '--json'])).stdout,
  );
  expect(tokens).toMatchObject([
    { id: (result['data'] as { id: string }).id, description: `command ${result['id']}`, uses: 1 },
  ]);
  expect(await run('join_token', { role: 'server' })).toMatchObject({
    success: false,
    error_code: 'POLICY_DENIED',
  });
}

/** Behind the walls of the helper's unit. */
async function makeSupportBundle(): Promise<void> {
  const { data } = await run('support_bundle', {});
  const { path, sha256 } = data as { path: string; sha256: string };
  expect(await sh(`sha256sum < ${path}; stat -c %a ${path}`)).toBe(`${sha256}  -\n600`);
  const readme = await sh(`tar -xzOf ${path} README.txt`);
  const missing = [...readme.matchAll(/^(\S+) +not in here: /gm)].map(([, name]) => name);
  // The daemon may have asked for facts already.
  expect(missing.filter((name) => name !== 'helper-other.jsonl')).toEqual([]);
  expect(await sh(`tar -xzOf ${path} nodes.txt`)).toMatch(/^server +Ready/m);
  expect(await sh(`tar -xzOf ${path} units.txt`)).toContain('Active: active (running)');
  const all = await sh(`tar -xzOf ${path}`);
  expect(all).toContain('registered with the control plane');
  const secrets = await sh(
    `cat ${TOKEN_FILE} /run/pipeops-agent/local-token /var/lib/rancher/k3s/server/token`,
  );
  const known = secrets.split('\n').map((line) => line.split(':').at(-1) ?? '');
  expect(known.filter((secret) => secret === '' || all.includes(secret))).toEqual([]);
}

/** What follows is done with the new one. */
async function rotateToken(): Promise<void> {
  const tokens = async (...taken: readonly string[]) => {
    const init = { method: 'PUT', body: JSON.stringify({ tokens: taken }) };
    expect((await fetch(`${stand.adminUrl()}/admin/tokens`, init)).status).toBe(204);
  };
  const [before, next] = [await sh(`cat ${TOKEN_FILE}`), 'the-next-token-of-the-test'];
  await tokens(before, next);
  expect(await run('rotate_token', { new_token: next })).toMatchObject({ success: true });
  await tokens(next);
  const own = '/var/lib/pipeops-agent/credentials/control-plane-token';
  expect(await sh(`cat ${own}; stat -c '%a %U' ${own}; test ! -e ${own}.trial`)).toBe(
    `${next}\n600 pipeops-agent`,
  );
  expect(await sh(`journalctl --unit=pipeops-agent | grep -c ${next} || true`)).toBe('0');
}

/** A line of JSON to the helper as another user. @returns exit code and what came back */
async function askAs(user: string, line: string): Promise<string> {
  const script =
    `my $s = IO::Socket::UNIX->new("${SOCKET}") or die $!; ` +
    'print $s "$ARGV[0]\\n"; $s->flush; print while <$s>;';
  const argv = [
    'runuser',
    '-u',
    user,
    '--',
    'perl',
    '-MIO::Socket::UNIX',
    '-e',
    script,
    line,
  ] as const;
  const { exitCode, stdout, stderr } = await server.exec([...argv], { check: false });
  return exitCode === 0 ? stdout.trim() : stderr;
}

async function refuseOthers(): Promise<void> {
  expect(await sh(`stat -c '%a %U' ${SOCKET}`)).toBe('600 pipeops-agent');
  expect(await askAs('nobody', '{"verb":"host_facts"}')).toContain('Permission denied');
  // Even where somebody has opened the socket to all.
  await server.exec(['chmod', '666', SOCKET]);
  expect(await askAs('nobody', '{"verb":"host_facts"}')).toContain('"code":"NOT_ROOT"');
  await server.exec(['chmod', '600', SOCKET]);
  expect(await askAs('pipeops-agent', '{"verb":"host_facts"}')).toContain('"data":{"findings":');
  expect(await askAs('pipeops-agent', '{"verb":"sh"}')).toContain('"code":"USAGE"');
}

async function goneWhenIdle(): Promise<void> {
  await waitUntil('the helper is gone', GONE_TIMEOUT_MS, async () => {
    const units = await sh("systemctl list-units --plain --no-legend 'pipeops-agent-helper@*'");
    const processes = await sh("pgrep -f 'helper serv[e]' || true");
    return units === '' && processes === '' ? true : undefined;
  });
}

const DESIRED = '/etc/pipeops-agent/desired';
const kept = () =>
  sh("k3s kubectl get configmap kept --ignore-not-found -o jsonpath='{.data.key}'");

/** What the agent has to do by itself is waited for behind other phases: it looks every half minute. */
async function desire(): Promise<void> {
  const manifest = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {key: root}\n';
  await server.exec(['install', '-d', '-m', '0755', DESIRED]);
  await server.writeFile(`${DESIRED}/kept.yaml`, manifest);
}

const isKept = (key: string) =>
  waitUntil(`it is "${key}"`, DESIRED_TIMEOUT_MS, async () => (await kept()) === key);

async function loseDesired(): Promise<void> {
  await isKept('root');
  expect(await sh('pipeops-agent status')).toMatch(/^Desired state +1 objects of 1 files; /m);
  await server.exec(['k3s', 'kubectl', 'delete', 'configmap', 'kept']);
}

async function desireNoMore(): Promise<void> {
  await isKept('root');
  await server.exec(['rm', `${DESIRED}/kept.yaml`]);
}

/** Of the server, of the kubelet and of a client. */
const SHORT = [
  { name: 'server/tls/serving-kube-apiserver', authority: 'server-ca' },
  { name: 'server/tls/client-admin', authority: 'client-ca' },
  { name: 'agent/serving-kubelet', authority: 'server-ca' },
];
const NETWORK = '/etc/systemd/network/10-host0.network';
/** It looks twice, 10 s apart, and restarts k3s. */
const RENEWED_TIMEOUT_MS = 120_000;

const k3sPid = () => sh('systemctl show --property=MainPID --value k3s');
const daysOfShort = () => Promise.all(SHORT.map(({ name }) => daysLeft(server, name)));

async function renewCertificates(): Promise<void> {
  const another = server.address.replace(/\d+$/, '201');
  // An address that goes makes it look at once, and not only after an hour.
  await server.exec(['ip', 'address', 'add', `${another}/24`, 'dev', 'host0']);
  await server.exec(['systemctl', 'restart', 'pipeops-agent']);
  for (const each of SHORT) {
    await shortenCertificate(server, { ...each, days: 10 });
  }
  expect(await daysOfShort()).toEqual([9, 9, 9]);
  const before = await k3sPid();
  await server.exec(['ip', 'address', 'delete', `${another}/24`, 'dev', 'host0']);
  await waitUntil('all are made anew', RENEWED_TIMEOUT_MS, async () =>
    (await daysOfShort()).every((days) => days > 300),
  );
  await waitUntil('the node is ready', RENEWED_TIMEOUT_MS, async () => {
    return (await readyNodes(server)) === 1;
  });
  expect(await k3sPid()).not.toBe(before);
  await waitUntil('it is told', RENEWED_TIMEOUT_MS, async () =>
    (await server.journal({ unit: 'pipeops-agent' })).includes(
      'k3s was restarted reason=certificates',
    ),
  );
  const metrics = await sh('curl -fsS http://127.0.0.1:8080/metrics');
  expect(metrics).toContain('certificate_end_timestamp_seconds{certificate="cluster authority"}');
  expect(await sh('pipeops-agent status')).toMatch(/^Certificates .*authority until 20\d\d/m);
}

/** As after DHCP has given another one. */
async function changeAddress(): Promise<void> {
  const next = server.address.replace(/\d+$/, '202');
  const file = await server.readFile(NETWORK);
  await server.writeFile(NETWORK, file.replace(server.address, next));
  await server.exec(['sh', '-c', 'networkctl reload && networkctl reconfigure host0']);
  const kubectl = "k3s kubectl get nodes -o jsonpath='{.items[*].status";
  await waitUntil('the node has it', RENEWED_TIMEOUT_MS, async () => {
    return (await sh(`${kubectl}.addresses[0].address}'`)) === next;
  });
  await waitUntil('the node is ready', RENEWED_TIMEOUT_MS, async () => {
    const ready = `${kubectl}.conditions[?(@.type=="Ready")].status}'`;
    return (await sh(ready)) === 'True';
  });
  await waitUntil('it is told', RENEWED_TIMEOUT_MS, async () =>
    (await server.journal({ unit: 'pipeops-agent' })).includes('k3s was restarted reason=address'),
  );
  const { checks } = JSON.parse(
    (await server.exec(['pipeops-agent', 'doctor', '--json'], { check: false })).stdout,
  );
  const found = (checks as { id: string }[]).find(({ id }) => id === 'changed-address');
  expect(found).toMatchObject({ state: 'ok' });
  // Looked at again after the restart, whether or not it was told in between.
  await waitUntil('nothing is wrong any more', RENEWED_TIMEOUT_MS, async () => {
    const { health } = JSON.parse(await sh('pipeops-agent status --json'));
    const problems = health.problems as { about?: string }[];
    return problems.every(({ about }) => about !== 'changed-address');
  });
}

async function uninstall(): Promise<void> {
  await server.exec(['pipeops-agent', 'uninstall', '--yes'], { timeoutMs: 180_000 });
  expect(await sh(`ls /etc/systemd/system/pipeops-agent* ${SOCKET} 2>/dev/null || true`)).toBe('');
  expect(await sh("systemctl list-units --all --plain --no-legend 'pipeops-agent*'")).toBe('');
}
