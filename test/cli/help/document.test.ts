/** What `--help --json` prints: the same as the help for people, for programs. */
import { expect, test } from 'bun:test';
import { SUBCOMMANDS } from '../../../src/cli/subcommands/list.ts';
import { AgentError, ERROR_CODES } from '../../../src/core/errors.ts';
import { EXIT_CODES } from '../../../src/core/exit-codes.ts';
import { BUILD } from '../../../src/core/version.ts';
import { cliContext } from '../../support/cli-context.ts';

async function jsonOf(...words: string[]) {
  const ran = await cliContext({ root: '/nonexistent', uid: 1000 }).run(...words);
  expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(ran.stdout);
}

test('--help --json describes every subcommand for people, in the order of the help', async () => {
  const program = await jsonOf('--help', '--json');
  expect({ ...program, subcommands: [] }).toEqual({
    name: 'pipeops-agent',
    version: BUILD.version,
    subcommands: [],
    exit_codes: EXIT_CODES,
  });
  const shown = Object.entries(SUBCOMMANDS).filter(([, { summary }]) => summary !== '');
  expect(program.subcommands.map(({ name }: { name: string }) => name)).toEqual(
    shown.map(([name]) => name),
  );
});

test('a subcommand is described whole: words, flags, defaults, what may be given', async () => {
  const help = {
    name: '--help',
    type: 'boolean',
    description: 'Show this; with --json, for programs',
    value_hint: null,
    values: [],
    default: false,
    repeatable: false,
  };
  expect(await jsonOf('token', 'delete', '--help', '--json')).toEqual({
    name: 'token delete',
    summary: 'End a join token before its time',
    description: 'Ends a join token before its time. Machines that have joined stay.',
    usage: 'pipeops-agent token delete ID [flags]',
    example: 'sudo pipeops-agent token delete 4f9c2a',
    needs_root: true,
    words: [
      {
        name: 'ID',
        description: 'The id that "token list" shows',
        required: true,
        values: [],
      },
    ],
    flags: [{ ...help, name: '--json', description: 'Print one JSON document' }, help],
  });
  const { flags } = await jsonOf('run', '--help', '--json');
  const named = (name: string) => flags.find((flag: { name: string }) => flag.name === name);
  expect([named('--log-level'), named('--traefik'), named('--node-label').repeatable]).toEqual([
    {
      name: '--log-level',
      type: 'string',
      description: 'Least important level that is logged',
      value_hint: 'error|warn|info|debug',
      values: ['error', 'warn', 'info', 'debug'],
      default: null,
      repeatable: false,
    },
    {
      name: '--traefik',
      type: 'boolean',
      description: 'Let k3s install its traefik ingress controller; k3s is restarted for it',
      value_hint: null,
      values: [],
      default: null,
      repeatable: false,
    },
    true,
  ]);
});

test('a word that begins subcommands lists them, by every way to ask', async () => {
  const group = await jsonOf('token', '--help', '--json');
  expect(group.subcommands.map(({ name }: { name: string }) => name)).toEqual([
    'token create',
    'token list',
    'token delete',
    'token revoke',
  ]);
  const others = [
    ['help', 'token', '--json'],
    ['--help', '--json', 'token'],
    ['--json', 'token', '-h'],
  ];
  expect(await Promise.all(others.map((words) => jsonOf(...words)))).toEqual(
    others.map(() => group),
  );
});

test('a word that is not known is an error, as a document too', async () => {
  const { exitCode, stdout } = await cliContext({ root: '/nonexistent' }).run(
    'up',
    '--help',
    '--json',
  );
  expect({ exitCode, code: JSON.parse(stdout).error.code }).toEqual({
    exitCode: 2,
    code: 'UNKNOWN_SUBCOMMAND',
  });
});

test('every failure has an exit code that is explained', () => {
  const known = EXIT_CODES.map(({ code }) => code);
  const used = ERROR_CODES.map((code) => new AgentError(code, '', { hint: 'Look' }).exitCode);
  expect(used.filter((code) => !known.includes(code))).toEqual([]);
});
