import { expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import { placesOf } from '../../src/core/places.ts';
import type { Exec, Http } from '../../src/core/ports.ts';
import { type LogWish, readLog } from '../../src/machine/read-log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import type { LogLine } from '../../src/protocol/local-realtime.ts';
import { failureOf } from '../support/failure-of.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const WISH: LogWish = {
  ...{ follow: false, lines: 100, since: undefined, level: 'debug', ofK3s: false },
};
const AT = '1767323045678901';
const TIMESTAMP = '2026-01-02T03:04:05.678Z';

const entry = (more: object) => JSON.stringify({ __REALTIME_TIMESTAMP: AT, ...more });
const noHttp: Http = () => Promise.reject(new Error('not asked for'));

/** @param journal what journalctl prints; undefined: there is none */
async function read(
  wish: Partial<LogWish>,
  journal: readonly string[] | undefined,
  { exitCode = 0, http = noHttp, files = {} as Readonly<Record<string, string>> } = {},
) {
  await using root = await tempDirectory();
  for (const [path, text] of Object.entries(files)) {
    await Bun.write(`${root.path}${path}`, text);
  }
  const seen = { argv: [] as readonly string[], lines: [] as LogLine[] };
  const exec: Exec = {
    run: async (argv, { onLine }) => {
      seen.argv = argv;
      if (journal === undefined) {
        throw new AgentError('TOOL_MISSING', 'none', { hint: '' });
      }
      for (const line of journal) {
        await onLine?.(line);
      }
      return { exitCode, stdout: '', stderr: '' };
    },
  };
  const { signal } = new AbortController();
  const context = {
    ...{ clock: systemClock, env: { RUNTIME_DIRECTORY: '/none' }, exec, http, signal },
    ...{ files: systemFiles(root.path), places: placesOf() },
  };
  await readLog(context, { ...WISH, ...wish }, (line) => void seen.lines.push(line));
  return seen;
}

test('entries of the journal come with their time and how grave they are', async () => {
  const { lines } = await read({}, [
    entry({ MESSAGE: 'a', PRIORITY: '3' }),
    entry({ MESSAGE: 'b', PRIORITY: '4' }),
    entry({ MESSAGE: 'c', PRIORITY: '5' }),
    entry({ MESSAGE: 'd', PRIORITY: '7' }),
    entry({ MESSAGE: [101, 27] }),
    entry({ MESSAGE: null }),
    '-- Boot --',
    '{',
  ]);
  expect(lines).toEqual(
    [
      ['error', 'a'],
      ['warn', 'b'],
      ['info', 'c'],
      ['debug', 'd'],
      ['info', 'e\u001b'],
      ['info', '(too long)'],
    ].map(([level = '', message = '']) => ({ timestamp: TIMESTAMP, level, message, fields: {} })),
  );
});

test('what the agent wrote comes as its message and its fields', async () => {
  const { lines } = await read({}, [
    entry({
      ...{ MESSAGE: 'command failed command_id=c-1', PRIORITY: '4', _PID: '7' },
      ...{ PIPEOPS_EVENT: 'command failed', PIPEOPS_COMMAND_ID: 'c-1' },
    }),
  ]);
  const fields = { command_id: 'c-1' };
  expect(lines).toEqual([
    { timestamp: TIMESTAMP, level: 'warn', message: 'command failed', fields },
  ]);
});

test('the journal is asked for what is wished, and nothing else', async () => {
  const since = new Date('2026-01-01T00:00:00.999Z');
  expect((await read({ follow: true, level: 'warn' }, [])).argv.slice(4)).toEqual([
    ...['--unit', 'pipeops-agent.service', '--priority', 'warning', '--lines', '100', '--follow'],
  ]);
  expect((await read({ lines: undefined, since }, [])).argv.slice(6)).toEqual([
    ...['--priority', 'debug', '--lines', 'all', '--since', '@1767225600'],
  ]);
  const files = { '/etc/systemd/system/k3s-agent.service': '' };
  expect((await read({ ofK3s: true }, [], { files })).argv).toContain('k3s-agent.service');
});

test('what journalctl says when it fails is told', async () => {
  const failure = failureOf(() => read({}, ['No journal files were found.'], { exitCode: 1 }));
  expect(await failure).toMatchObject({
    code: 'TOOL_FAILED',
    message: 'journalctl failed: No journal files were found.',
  });
  expect(await failureOf(() => read({ ofK3s: true }, []))).toMatchObject({ code: 'NOT_INSTALLED' });
});

test('without journalctl the agent itself is asked, and says why it cannot be', async () => {
  const failure = failureOf(() => read({}, undefined));
  expect(await failure).toMatchObject({ code: 'DAEMON_UNREACHABLE' });
});
