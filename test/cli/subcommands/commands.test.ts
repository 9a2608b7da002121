/** `commands` asks a server on a real unix socket. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { CommandAnswer, CommandRow } from '../../../src/protocol/local-commands.ts';
import { cliContext } from '../../support/cli-context.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { resultOf } from '../../support/open-journal.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

const NOW = '2026-01-01T00:10:00.000Z';
const ROW: CommandRow = {
  ...{ id: 'c-1', sequence: 1, type: 'deploy', state: 'delivered', outcome: 'succeeded' },
  ...{ attempts: 1, accepted_at: '2026-01-01T00:00:00.000Z', cancelled_at: null },
  started_at: '2026-01-01T00:00:01.000Z',
  finished_at: '2026-01-01T00:00:31.000Z',
};
const RUNNING: CommandRow = {
  ...ROW,
  ...{ id: 'c-2', sequence: 2, type: 'exec', state: 'running', outcome: null, finished_at: null },
  cancelled_at: NOW,
};

let directory: TempDirectory;
let asked: string[];

beforeEach(async () => {
  directory = await tempDirectory();
  asked = [];
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const run = (...words: readonly string[]) =>
  cliContext({
    ...{ root: '/', uid: 1000, clock: manualClock(NOW) },
    env: { RUNTIME_DIRECTORY: directory.path },
  }).run('commands', ...words);

function daemon(answer: unknown, status = 200): AsyncDisposable {
  const server = Bun.serve({
    unix: join(directory.path, 'agent.sock'),
    fetch: ({ method, url }) => {
      const { pathname, search } = new URL(url);
      asked.push(`${method} ${pathname}${search}`);
      return Response.json(answer, { status });
    },
  });
  return { [Symbol.asyncDispose]: () => server.stop(true) };
}

test('commands list shows what was asked for and how it ended', async () => {
  const waiting = {
    ...RUNNING,
    id: 'c-3',
    state: 'accepted',
    started_at: null,
    cancelled_at: null,
  };
  const undelivered = { ...ROW, id: 'c-0', state: 'done', outcome: 'failed' };
  await using _ = daemon({ items: [waiting, RUNNING, ROW, undelivered], next: 1 });
  const { exitCode, stdout, stderr } = await run('list', '--limit', '4', '--state', 'running');
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 0,
    stdout: `ID   TYPE    STATE                  ACCEPTED  TOOK
c-3  exec    accepted               10m ago   -
c-2  exec    running, stops         10m ago   9m 59s
c-1  deploy  succeeded              10m ago   30s
c-0  deploy  failed, not delivered  10m ago   30s
`,
    stderr: 'There are more: --limit shows them\n',
  });
  expect(asked).toEqual(['GET /api/commands?limit=4&state=running']);
});

test('commands list --json has the rows as they are; where there are none it says so', async () => {
  {
    await using _ = daemon({ items: [ROW], next: null });
    expect(JSON.parse((await run('list', '--json')).stdout)).toEqual({ commands: [ROW] });
  }
  await using _ = daemon({ items: [], next: null });
  expect(await run('list')).toEqual({ exitCode: 0, stdout: '', stderr: 'There are none\n' });
});

test('commands show has the error and the output, neither of which a terminal obeys', async () => {
  const result = {
    ...resultOf('one\n\x1b[31mtwo\n'),
    ...{ success: false, error: 'It broke', error_code: 'EXEC_FAILED' },
  };
  const command: CommandAnswer = {
    ...{ ...ROW, outcome: 'failed', target: null, progress: null, result },
  };
  await using _ = daemon(command);
  expect((await run('show', 'c-1')).stdout).toBe(`Command   c-1
Type      deploy
State     failed
Accepted  2026-01-01T00:00:00.000Z
Begun     2026-01-01T00:00:01.000Z
Ended     2026-01-01T00:00:31.000Z
Attempts  1
Error     It broke [EXEC_FAILED]

one
\\u001b[31mtwo
`);
  expect(JSON.parse((await run('show', 'c-1', '--json')).stdout)).toEqual(command);
});

test('commands show takes the result of an agent of a newer version', async () => {
  const { metadata, ...rest } = resultOf('done');
  const result = { ...rest, more: 1, metadata: { ...metadata, more: 2 } };
  const command = { ...ROW, target: null, progress: null, result };
  await using _ = daemon(command);
  expect(JSON.parse((await run('show', 'c-1', '--json')).stdout)).toEqual(command);
});

test('commands show of one that runs tells what it does', async () => {
  const about = { target: 'shop/web', progress: '1 of 3 ready', result: null };
  await using _ = daemon({ ...RUNNING, ...about });
  const { stdout } = await run('show', 'a/b');
  expect(stdout).toContain('About          shop/web\n');
  expect(stdout).toContain('Doing          1 of 3 ready\n');
  expect(asked).toEqual(['GET /api/commands/a%2Fb']);
});

test.each([
  ['cancelling', 'It stops. See how it ends: sudo pipeops-agent commands show c-2\n'],
  ['finished', 'It has ended already; nothing was changed\n'],
])('commands cancel says what became of it: %s', async (outcome, stderr) => {
  await using _ = daemon({ outcome });
  expect(await run('cancel', 'c-2')).toEqual({ exitCode: 0, stdout: '', stderr });
  expect(JSON.parse((await run('cancel', 'c-2', '--json')).stdout)).toEqual({ id: 'c-2', outcome });
  expect(asked).toEqual(Array.from({ length: 2 }, () => 'POST /api/commands/c-2/cancel'));
});

test('a refusal is told in the words of the agent', async () => {
  await using _ = daemon(
    {
      ...{ type: 'about:blank', title: 'Not Found', status: 404, code: 'NOT_FOUND' },
      ...{ detail: 'No command "x" is remembered', hint: 'List them', request_id: 'r-1' },
      error: { code: 'NOT_FOUND', message: 'No command "x" is remembered' },
    },
    404,
  );
  expect(await run('show', 'x')).toEqual({
    exitCode: 8,
    stdout: '',
    stderr:
      'pipeops-agent: error: No command "x" is remembered [NOT_FOUND]\n' +
      'pipeops-agent: hint: List them\n',
  });
});

test('an agent of an older version is told apart from a command that is not there', async () => {
  await using _ = daemon({ error: { code: 'NOT_FOUND', message: 'There is nothing' } }, 404);
  expect((await run('show', 'x')).stderr).toContain(
    'it is of an older version [DAEMON_UNREACHABLE]',
  );
});

test.each([
  ['--limit', '0'],
  ['--limit', '501'],
  ['--state', 'gone'],
])('commands list refuses %s %s', async (flag, value) => {
  const { exitCode, stderr } = await run('list', flag, value);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('[USAGE]')]);
  expect(asked).toEqual([]);
});
