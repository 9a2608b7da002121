/** What is the same for every subcommand: help, errors, root and the lock. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { cliContext } from '../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0';

let directory: TempDirectory;

beforeEach(async () => {
  directory = await tempDirectory();
});
afterEach(async () => await directory[Symbol.asyncDispose]());

test('no words at all print the help and count as wrong usage', async () => {
  const cli = cliContext({ root: directory.path });
  const help = await cli.run('--help');
  expect(help).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await cli.run()).toEqual({ ...help, exitCode: 2 });
  expect(await cli.run('-h')).toEqual(help);
  expect(await cli.run('help')).toEqual(help);
});

test('--help shows the subcommand also to who is not root, and takes no lock', async () => {
  const cli = cliContext({ root: directory.path, uid: 1000, lockHeldBy: 'install (pid 7)' });
  const ran = await cli.run('uninstall', '--help');
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.stdout).toContain('Usage: pipeops-agent uninstall [flags]');
});

test.each([
  ['uninstall', 'changes this machine and needs root'],
  ['cluster-info', 'needs root: it uses what only root may read'],
  ['token list', 'needs root: it uses what only root may read'],
])('"%s" %s', async (name, why) => {
  const { stderr } = await cliContext({ root: directory.path, uid: 1000 }).run(...name.split(' '));
  expect(stderr).toBe(
    `pipeops-agent: error: "${name}" ${why} [NOT_ROOT]\n` +
      `pipeops-agent: hint: Run it with sudo: sudo pipeops-agent ${name}\n`,
  );
});

test('an error is text on stderr, and with --json a document on stdout too', async () => {
  const cli = cliContext({ root: directory.path, uid: 1000 });
  const stderr =
    'pipeops-agent: error: "token list" needs root: it uses what only root may read [NOT_ROOT]\n' +
    'pipeops-agent: hint: Run it with sudo: sudo pipeops-agent token list\n';
  expect(await cli.run('token', 'list')).toEqual({ exitCode: 4, stdout: '', stderr });
  const { stdout, ...rest } = await cli.run('token', 'list', '--json');
  expect({ ...rest, ...JSON.parse(stdout) }).toEqual({
    exitCode: 4,
    stderr,
    error: {
      code: 'NOT_ROOT',
      message: '"token list" needs root: it uses what only root may read',
      hint: 'Run it with sudo: sudo pipeops-agent token list',
    },
  });
});

test('a second subcommand that changes the machine names the one that runs', async () => {
  const cli = cliContext({ root: directory.path, lockHeldBy: 'install (pid 812)' });
  expect(await cli.run('join', '--token-file', '/absent')).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      'pipeops-agent: error: Cannot run "join" now: install (pid 812) is running [BUSY]\n' +
      'pipeops-agent: hint: Wait until it has ended, then run the same command again\n',
  });
});

test('the lock is given back when the subcommand fails', async () => {
  const cli = cliContext({ root: directory.path });
  expect((await cli.run('uninstall', '--yes')).stderr).toContain('[NOT_INSTALLED]');
  expect(cli.lockEvents).toEqual(['lock', 'release']);
});

test('a bug shows where it happened, without the secrets in its message', async () => {
  const clock = {
    now: () => new Date(),
    monotonic: () => {
      throw new Error(`nobody expected Bearer ${JWT}`);
    },
    sleep: async () => true,
  };
  await Bun.write(`${directory.path}/var/lib/rancher/k3s/server/tls/server-ca.crt`, 'CA');
  const ran = await cliContext({ root: directory.path, clock }).run('credentials', 'renew');
  expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(ran.stderr).toContain('credentials.ts:');
  expect(ran.stderr).toContain('error: nobody expected Bearer [redacted] [INTERNAL]\n');
  expect(ran.stderr).not.toContain(JWT);
});

test.each([
  ['an error', ['version', '--\x1b[2J\x9b\u202e']],
  ['an error as JSON', ['version', '--json', '--\x1b[2J\x9b\u202e']],
])('%s shows escape sequences, and has none', async (_, words) => {
  const { stdout, stderr } = await cliContext({ root: directory.path }).run(...words);
  expect(`${stdout}${stderr}`).toContain('\\u001b[2J');
  expect(`${stdout}${stderr}`).not.toMatch(/[^\n -~]/);
});
