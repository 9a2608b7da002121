import { describe, expect, test } from 'bun:test';
import { SUBCOMMANDS } from '../../src/cli/subcommands/list.ts';
import { EXECUTABLE, runAgent } from './run-agent.ts';

test('version prints name, version and commit, and as JSON the runtime too', async () => {
  const { version } = await Bun.file('package.json').json();
  const text = await runAgent(['version']);
  expect(text).toEqual({
    exitCode: 0,
    stdout: expect.stringMatching(/^pipeops-agent \d+\.\d+\.\d+ \([0-9a-f]+\)\n$/),
    stderr: '',
  });
  expect((await runAgent(['--version'])).stdout).toBe(`${version}\n`);
  expect(JSON.parse((await runAgent(['version', '--json'])).stdout)).toMatchObject({ version });
});

test('a version that cannot be written is an error that names the reason', async () => {
  const child = Bun.spawn([EXECUTABLE, 'version'], {
    env: {},
    stdout: Bun.file('/dev/full'),
    stderr: 'pipe',
  });
  expect({ stderr: await new Response(child.stderr).text(), exitCode: await child.exited }).toEqual(
    {
      stderr:
        'pipeops-agent: error: Cannot write to standard output: no space left on the disk [FILE_ACCESS]\n' +
        'pipeops-agent: hint: See where standard output leads to, and whether there is room\n',
      exitCode: 4,
    },
  );
});

test('--help lists every subcommand for people, and without words it is an error', async () => {
  const help = await runAgent(['--help']);
  expect({ exitCode: help.exitCode, stderr: help.stderr }).toEqual({ exitCode: 0, stderr: '' });
  for (const [name, { summary }] of Object.entries(SUBCOMMANDS)) {
    expect(help.stdout.includes(`  ${name} `)).toBe(summary !== '');
  }
  expect(await runAgent([])).toEqual({ ...help, exitCode: 2 });
});

test.each(Object.keys(SUBCOMMANDS))('%s --help has a usage and an example', async (name) => {
  const { exitCode, stdout, stderr } = await runAgent([...name.split(' '), '--help']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain(`Usage: pipeops-agent ${name}`);
  expect(stdout).toMatch(/^Example: (sudo )?pipeops-agent /m);
});

describe('what was mistyped', () => {
  const refused = async (...words: string[]) => runAgent(words);

  test('a subcommand is answered with the nearest one', async () => {
    expect(await refused('instal')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'pipeops-agent: error: There is no subcommand "instal" [UNKNOWN_SUBCOMMAND]\n' +
        'pipeops-agent: hint: Did you mean "install"? See: pipeops-agent --help\n',
    });
  });

  test('half of a subcommand is answered with the other halves', async () => {
    expect(await refused('token')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'pipeops-agent: error: "token" needs one of: create, list, delete, revoke [UNKNOWN_SUBCOMMAND]\n' +
        'pipeops-agent: hint: For example: pipeops-agent token create\n',
    });
  });

  test('a flag is answered with the nearest one', async () => {
    expect(await refused('install', '--tokenfile', 'x')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'pipeops-agent: error: "install" has no flag --tokenfile [UNKNOWN_FLAG]\n' +
        'pipeops-agent: hint: Did you mean --token-file? See: pipeops-agent install --help\n',
    });
  });

  test('a flag without its value, a word too many and a word too few are errors', async () => {
    const codes = await Promise.all([
      refused('install', '--token-file'),
      refused('version', 'please'),
      refused('token', 'revoke'),
      refused('version', '-x'),
    ]);
    expect(codes.map(({ exitCode, stderr }) => [exitCode, /\[(.*)\]/.exec(stderr)?.[1]])).toEqual([
      [2, 'USAGE'],
      [2, 'USAGE'],
      [2, 'USAGE'],
      [2, 'UNKNOWN_FLAG'],
    ]);
  });

  test('with --json the error is a document on standard output', async () => {
    const { exitCode, stdout } = await refused('instal', '--json');
    expect({ exitCode, ...JSON.parse(stdout) }).toEqual({
      exitCode: 2,
      error: {
        code: 'UNKNOWN_SUBCOMMAND',
        message: 'There is no subcommand "instal"',
        hint: 'Did you mean "install"? See: pipeops-agent --help',
      },
    });
  });
});

test('help is there by every way that people try', async () => {
  const [group, ofToken] = await Promise.all([
    runAgent(['token', '--help']),
    runAgent(['help', 'token']),
  ]);
  expect(ofToken).toEqual(group);
  expect(group.stdout).toStartWith('Usage: pipeops-agent token <subcommand> [flags]\n');
  const [create, ofCreate] = await Promise.all([
    runAgent(['token', 'create', '--help']),
    runAgent(['help', 'token', 'create']),
  ]);
  expect(ofCreate).toEqual(create);
  expect(await runAgent(['-v'])).toEqual(await runAgent(['--version']));
  expect((await runAgent(['down'])).stderr).toEndWith('hint: See: pipeops-agent --help\n');
});
