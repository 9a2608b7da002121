/** Root's helper on a real machine, behind systemd: who gets what of it, and that it is gone when idle. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
/** What is promised: gone so soon after a request. */
const GONE_TIMEOUT_MS = 30_000;
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
      await progress.phase('a join token is refused', refuseToken);
      await progress.phase('a join token', mintToken);
      await progress.phase('others are kept out', refuseOthers);
      await progress.phase('gone when idle', goneWhenIdle);
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

async function uninstall(): Promise<void> {
  await server.exec(['pipeops-agent', 'uninstall', '--yes'], { timeoutMs: 180_000 });
  expect(await sh(`ls /etc/systemd/system/pipeops-agent* ${SOCKET} 2>/dev/null || true`)).toBe('');
  expect(await sh("systemctl list-units --all --plain --no-legend 'pipeops-agent*'")).toBe('');
}
