/** What `completion zsh` and `completion fish` print, loaded by the real shells (test/vm/packages.ts). */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { cliContext } from '../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { typedShell } from '../support/typed-shell.ts';

let directory: TempDirectory;
const script = (shell: string) => join(directory.path, `completion.${shell}`);

beforeAll(async () => {
  directory = await tempDirectory();
  for (const shell of ['zsh', 'fish']) {
    const { stdout } = await cliContext({ root: '/nonexistent' }).run('completion', shell);
    await Bun.write(script(shell), stdout);
  }
  await Bun.write(join(directory.path, 'join-token'), 'secret');
});
afterAll(async () => await directory[Symbol.asyncDispose]());

test('zsh completes words, flags, values and files by the tab key', async () => {
  const env = { HOME: directory.path, PS1: '$ ', TERM: 'xterm' };
  await using zsh = typedShell(['zsh', '-f', '-i'], env);
  zsh.type(
    `autoload -Uz compinit; compinit -u; cd ${directory.path}; source ${script('zsh')}; echo loa"ded"\n`,
  );
  await zsh.shown('loaded\r\n');
  const done = async (typed: string, whole: string) => {
    zsh.type(typed);
    await zsh.shown(`says ${whole}\r\n`);
    return whole;
  };
  // What was completed is run, by this function.
  zsh.type('pipeops-agent() { print -r -- says "$@" }\n');
  const all = [
    await done(
      'pipeops-agent tok\tcr\t--tt\t15m --ro\tag\t\n',
      'token create --ttl=15m --role=agent',
    ),
    await done('pipeops-agent join --token-f\tjoin-t\t\n', 'join --token-file=join-token'),
    await done('pipeops-agent help pol\tap\t\n', 'help policy apply'),
    await done('pipeops-agent policy apply --preset=op\t\n', 'policy apply --preset=operate'),
    await done('pipeops-agent completion fi\t\n', 'completion fish'),
  ];
  expect(all).toHaveLength(5);
});

test.each([
  ['tok', ['token']],
  ['token ', ['create', 'delete', 'list', 'revoke']],
  ['help policy s', ['show']],
  ['version --', ['--help', '--json']],
  ['run --log-level ', ['debug', 'error', 'info', 'warn']],
  ['install --policy=o', ['--policy=operate']],
  ['completion ', ['bash', 'fish', 'zsh']],
  ['join --token-file join-t', ['join-token']],
  ['token create --ttl ', []],
  ['cred', []],
])('fish is offered for "pipeops-agent %s" what may follow', async (typed, expected) => {
  const ask = `source ${script('fish')}; complete -C 'pipeops-agent ${typed}'`;
  const child = Bun.spawn(['fish', '--no-config', '-c', ask], {
    cwd: directory.path,
    env: { PATH: process.env['PATH'] ?? '', HOME: directory.path },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const offered = stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0]]));
  expect({ stderr, offered }).toEqual({ stderr: '', offered: expected });
});
