import { expect, test } from 'bun:test';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { runAgent } from './run-agent.ts';

test('what changes the machine wants root', async () => {
  expect(await runAgent(['uninstall', '--yes'], { asNobody: true })).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      'pipeops-agent: error: "uninstall" changes this machine and needs root [NOT_ROOT]\n' +
      'pipeops-agent: hint: Run it with sudo: sudo pipeops-agent uninstall\n',
  });
});

test('status without a daemon says how to look for it', async () => {
  const { exitCode, stdout, stderr } = await runAgent(['status'], {
    env: { RUNTIME_DIRECTORY: '/nonexistent' },
  });
  expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: '' });
  expect(stderr).toContain('[DAEMON_UNREACHABLE]');
  expect(stderr).toContain('hint: See whether it runs: systemctl status pipeops-agent');
});

test('join refuses a mangled token and never repeats it', async () => {
  const token = encodeJoinToken({
    v: 1,
    servers: ['https://192.0.2.1:6443'],
    ca: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
    token: 'K10secret::abcdef.0123456789abcdef',
    role: 'agent',
    expires: '2020-01-01T00:00:00.000Z',
  });
  const mangled = `${token.slice(0, 20)}x${token.slice(21)}`;
  const refused = await runAgent(['join', '--token-file', '-'], { stdin: mangled });
  expect({ exitCode: refused.exitCode, stdout: refused.stdout }).toEqual({
    exitCode: 2,
    stdout: '',
  });
  expect(refused.stderr).toContain('[JOIN_TOKEN_INVALID]');
  expect(refused.stderr).not.toContain(mangled.slice(0, 30));
  const expired = await runAgent(['join', '--token-file', '-'], { stdin: token });
  expect(expired).toEqual({
    exitCode: 5,
    stdout: '',
    stderr:
      'pipeops-agent: error: The join token ended at 2020-01-01T00:00:00.000Z [JOIN_TOKEN_EXPIRED]\n' +
      'pipeops-agent: hint: Make a new one on a server: sudo pipeops-agent token create\n',
  });
});

test('a file that only root may read is answered with sudo, not with words of the system', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'config.yaml');
  await writeFile(path, 'cluster: {name: secret}\n', { mode: 0o600 });
  await chmod(directory.path, 0o755);
  expect(await runAgent(['config', 'show', '--config', path], { asNobody: true })).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      `pipeops-agent: error: Cannot read ${path}: permission denied [FILE_ACCESS]\n` +
      'pipeops-agent: hint: Run it with sudo: sudo pipeops-agent config show\n',
  });
});

test('status before an installation says how to install', async () => {
  const { exitCode, stdout, stderr } = await runAgent(['status']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
  expect(stderr).toStartWith('pipeops-agent: error: pipeops-agent is not set up on this machine');
});
