import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { POLICY_PRESETS } from '../../src/protocol/files/policy-presets.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { runAgent } from './run-agent.ts';

test('policy show and presets need nobody in particular, and print one document', async () => {
  const show = await runAgent(['policy', 'show', '--json'], { asNobody: true });
  const shown = JSON.parse(show.stdout) as { preset: string; file: null; rules: object[] };
  expect({ ...shown, rules: Object.keys(shown.rules[0] ?? {}) }).toEqual({
    preset: 'standard',
    file: null,
    rules: ['rule', 'meaning'],
  });
  const presets = await runAgent(['policy', 'presets', '--json'], { asNobody: true });
  const document = JSON.parse(presets.stdout) as { presets: { name: string }[] };
  expect(document.presets.map(({ name }) => name)).toEqual([...POLICY_PRESETS]);
  expect([show.exitCode, show.stderr, presets.exitCode, presets.stderr]).toEqual([0, '', 0, '']);
});

test('policy apply wants root', async () => {
  expect(await runAgent(['policy', 'apply', '--preset', 'operate'], { asNobody: true })).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      'pipeops-agent: error: "policy apply" changes this machine and needs root [NOT_ROOT]\n' +
      'pipeops-agent: hint: Run it with sudo: sudo pipeops-agent policy apply\n',
  });
});

test.each([
  ['neither preset nor file', [], 'Give either --preset or --file [USAGE]'],
  ['both', ['--preset', 'operate', '--file', '/f'], 'Give either --preset or --file [USAGE]'],
  ['an unknown preset', ['--preset', 'operat'], 'There is no preset "operat" [USAGE]'],
  ['no such file', ['--file', '/nonexistent'], 'There is no file /nonexistent [USAGE]'],
])('policy apply refuses %s', async (_, args, message) => {
  const { exitCode, stdout, stderr } = await runAgent(['policy', 'apply', ...args]);
  expect([exitCode, stdout, stderr.split('\n')[0]]).toEqual([
    ...[2, '', `pipeops-agent: error: ${message}`],
  ]);
});

test('policy apply names every mistake of a file', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'policy.yaml');
  await writeFile(path, 'preset: standart\nproxi: {}\n');
  const { exitCode, stdout, stderr } = await runAgent(['policy', 'apply', '--file', path]);
  expect([exitCode, stdout]).toEqual([3, '']);
  expect(stderr.split('\n').slice(0, 3)).toEqual([
    'pipeops-agent: error: The policy has 2 problems:',
    '  - preset: must be one of read-only, standard, operate',
    '  - line 2: proxi: is not a key, did you mean "proxy"? [POLICY_INVALID]',
  ]);
});

test('policy apply --json prints a refusal as one document, on a machine without a cluster', async () => {
  const refused = await runAgent(['policy', 'apply', '--preset', 'operate', '--json']);
  expect(refused.exitCode).toBe(4);
  expect(JSON.parse(refused.stdout)).toEqual({
    error: {
      code: 'NOT_A_SERVER',
      message: 'This machine is not a server of a cluster',
      hint: 'Run this on the machine that was set up with: pipeops-agent install',
    },
  });
});

test("kubeconfig: the administrator's is for root, on a server; the other needs the daemon", async () => {
  const refusals = [
    await runAgent(['kubeconfig'], { asNobody: true }),
    await runAgent(['kubeconfig']),
    await runAgent(['kubeconfig', '--local'], { env: { RUNTIME_DIRECTORY: '/nonexistent' } }),
  ];
  expect(
    refusals.map(({ exitCode, stdout, stderr }) => [
      ...[exitCode, stdout, /\[(\w+)\]/.exec(stderr)?.[1]],
    ]),
  ).toEqual([
    [4, '', 'NOT_ROOT'],
    [4, '', 'NOT_A_SERVER'],
    [6, '', 'DAEMON_UNREACHABLE'],
  ]);
});

test('config show has the settings of the session and of the data plane', async () => {
  const { stdout } = await runAgent(['config', 'show', '--json']);
  const { settings } = JSON.parse(stdout) as { settings: { setting: string }[] };
  expect(settings.map(({ setting }) => setting)).toEqual(
    expect.arrayContaining([
      ...['control_plane.transport', 'control_plane.proxy', 'control_plane.no_proxy'],
      ...['control_plane.heartbeat_interval', 'control_plane.poll_interval', 'http.tls_port'],
    ]),
  );
});
