/** What `completion bash` prints, loaded by a real bash. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { SUBCOMMANDS } from '../../../src/cli/subcommands/list.ts';
import { cliContext } from '../../support/cli-context.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { typedShell } from '../../support/typed-shell.ts';

let directory: TempDirectory;
let script: string;

beforeAll(async () => {
  directory = await tempDirectory();
  script = join(directory.path, 'completion.bash');
  const { exitCode, stdout, stderr } = await cliContext({ root: '/nonexistent' }).run(
    'completion',
    'bash',
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  await Bun.write(script, stdout);
});
afterAll(async () => await directory[Symbol.asyncDispose]());

/** What bash offers for the last of these words, which is being typed. */
async function offered(...words: string[]): Promise<readonly string[]> {
  const ask =
    'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pipeops_agent; ' +
    `printf "%s\\n" "\${COMPREPLY[@]}"`;
  const argv = ['bash', '--norc', '-c', ask, script, 'pipeops-agent', ...words];
  const child = Bun.spawn(argv, { stdout: 'pipe', stderr: 'pipe' });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  // Outside of a completion there is nothing that compopt could change.
  expect(stderr.replaceAll(/^.*compopt: not currently executing completion function\n/gm, '')).toBe(
    '',
  );
  return stdout.split('\n').filter((line) => line !== '');
}

test.each<readonly [string, readonly string[], readonly string[]]>([
  ['a subcommand', ['un'], ['uninstall']],
  ['a word that begins several', ['tok'], ['token']],
  ['what follows such a word', ['token', ''], ['create', 'list', 'delete', 'revoke']],
  ['help, and what it is wanted of', ['help', 'policy', 's'], ['show']],
  ['flags before any subcommand', ['--'], ['--help', '--version']],
  [
    'flags of a subcommand',
    ['token', 'create', '--'],
    [
      ...['--ttl', '--description', '--uses', '--node-name', '--from', '--serve', '--serve-port'],
      ...['--role', '--yes', '--json', '--help'],
    ],
  ],
  ['what may follow a subcommand', ['upgrade', ''], ['k3s']],
  ['its flags with that', ['upgrade', 'k3s', '--dr'], ['--drain', '--dry-run']],
  ['its flags without', ['upgrade', '--to', '1.0.0', '--c'], ['--channel', '--check']],
  ['flags where no word is wanted', ['version', ''], ['--json', '--help']],
  ['no flag twice', ['version', '--json', '--'], ['--help']],
  ['a flag twice that may be', ['join', '--node-label', 'a=b', '--node-l'], ['--node-label']],
  ['what a setting may be', ['run', '--log-level', ''], ['error', 'warn', 'info', 'debug']],
  ['the same where "=" divides words', ['run', '--log-level', '=', 'in'], ['info']],
  ['the same right behind "="', ['run', '--log-format', '='], ['text', 'json']],
  ['the same where it does not', ['run', '--log-level=in'], ['--log-level=info']],
  ['presets', ['policy', 'apply', '--preset', 'o'], ['operate']],
  ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
  ['nothing for what nobody can guess', ['token', 'create', '--ttl', ''], []],
  ['nothing for a file: bash does that', ['install', '--token-file', '/'], []],
  ['no flags behind --', ['token', 'revoke', '--', '--'], []],
  ['nothing for what does not exist', ['nonsense', '--'], []],
  ['nothing that is for units alone', ['cred'], []],
])('bash is offered %s', async (_, words, expected) => {
  expect(await offered(...words)).toEqual([...expected]);
});

test('bash is offered every subcommand, and the shown flags of each', async () => {
  for (const [name, { summary, load }] of Object.entries(SUBCOMMANDS)) {
    if (summary !== '') {
      const { flags } = await load();
      const wanted = [...Object.keys(flags).map((flag) => `--${flag}`), '--help'];
      expect(await offered(...name.split(' '), '-')).toEqual(wanted);
    }
  }
});

test('a person at a terminal gets words, flags, values and files by the tab key', async () => {
  await using bash = typedShell(['bash', '--norc', '-i'], { HOME: directory.path, PS1: '$ ' });
  await Bun.write(join(directory.path, 'join-token'), 'secret');
  bash.type(`cd ${directory.path}; source ${script}; echo loa"ded"\n`);
  await bash.shown('loaded\r\n');
  bash.type('pipeops-agent tok\tcr\t--tt\t15m --ro\ta\t\n');
  await bash.shown('pipeops-agent token create --ttl 15m --role agent');
  bash.type('pipeops-agent join --token-file join-to\t\n');
  await bash.shown('pipeops-agent join --token-file join-token');
  bash.type('pipeops-agent policy apply --preset=ope\t\n');
  await bash.shown('pipeops-agent policy apply --preset=operate');
  expect(await offered('tok')).toEqual(['token']);
});

test('completion of a shell that is not known is refused, and says which are', async () => {
  const { exitCode, stderr } = await cliContext({ root: '/nonexistent' }).run('completion', 'tcsh');
  expect([exitCode, stderr]).toEqual([
    2,
    'pipeops-agent: error: There is no completion for that shell [USAGE]\n' +
      'pipeops-agent: hint: There is one for bash, zsh, fish\n',
  ]);
});
