import { describe, expect, test } from 'bun:test';
import type { Log, LogLevel } from '../../src/core/ports.ts';
import type { JournalFields } from '../../src/platform/journal.ts';
import { type LogOptions, lineLog } from '../../src/platform/log.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

const TIME = '2026-01-02T03:04:05.678Z';
const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0';

/** What a log writes while `work` uses it. */
function written(
  {
    level = 'debug',
    ...options
  }: Partial<Omit<LogOptions, 'level'>> & { readonly level?: LogLevel },
  work: (log: Log) => void,
): readonly string[] {
  const lines: string[] = [];
  const log = lineLog(
    { clock: manualClock(TIME) },
    {
      level: () => level,
      format: 'text',
      journal: false,
      write: (line) => lines.push(line),
      ...options,
    },
  );
  work(log);
  return lines;
}

function logEachLevel(log: Log): void {
  log.error('a');
  log.warn('b');
  log.info('c');
  log.debug('d');
}

test.each(['text', 'json'] as const)(
  'no character ends a line of a log as %s, or turns it, but its own end',
  (format) => {
    const characters = [
      '\n',
      '\r',
      '\0',
      '\v',
      '\f',
      '\x1b',
      '\x7f',
      '\x85',
      '\x9b',
      '\u2028',
      '\u2029',
      '\u202e',
      '\u2066',
      '\u200f',
      '\u061c',
    ];
    const lines = written({ format, journal: true }, (log) => {
      for (const character of characters) {
        log.info(`a${character}<0>b`, { field: `c${character}d e` });
      }
    });
    expect(lines).toHaveLength(characters.length);
    for (const line of lines) {
      expect(line).toMatch(/^<6>[\x20-\x7e]+\n$/);
    }
  },
);

describe('lineLog() as text', () => {
  test('writes time, level, message and fields in one line', () => {
    const lines = written({}, (log) => {
      log.info('Command finished', { command_id: 'c1', duration_ms: 12.5, ok: true });
      log.error('Cannot reach it');
    });
    expect(lines).toEqual([
      `${TIME} info  Command finished command_id=c1 duration_ms=12.5 ok=true\n`,
      `${TIME} error Cannot reach it\n`,
    ]);
  });

  test('quotes what would be read as several fields and leaves undefined ones out', () => {
    const lines = written({}, (log) => {
      log.info('m', { a: 'two words', b: 'x="y"', c: '', d: undefined, e: null });
    });
    expect(lines).toEqual([`${TIME} info  m a="two words" b="x=\\"y\\"" c="" e=null\n`]);
  });

  test('leaves time and level to the journal, which reads the priority', () => {
    expect(written({ journal: true }, logEachLevel)).toEqual([
      '<3>a\n',
      '<4>b\n',
      '<6>c\n',
      '<7>d\n',
    ]);
  });
});

describe('lineLog() as JSON', () => {
  test('writes one object a line', () => {
    const lines = written({ format: 'json' }, (log) => {
      log.warn('Will try again', { attempt: 2, reason: 'refused' });
    });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time: TIME, level: 'warn', message: 'Will try again', attempt: 2, reason: 'refused' },
    ]);
  });

  test('puts the priority before it for the journal', () => {
    const [line = ''] = written({ format: 'json', journal: true }, (log) => log.error('a'));
    expect(line.slice(0, 4)).toBe('<3>{');
  });
});

describe('lineLog()', () => {
  test.each([
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 4],
  ] as const)('writes from the level %s upwards', (level, count) => {
    expect(written({ level, journal: true }, logEachLevel)).toEqual(
      ['<3>a\n', '<4>b\n', '<6>c\n', '<7>d\n'].slice(0, count),
    );
  });

  test('carries the fields of with() in every line, the nearest winning', () => {
    const lines = written({ journal: true }, (log) => {
      const inner = log.with({ service: 'session', attempt: 1 }).with({ attempt: 2 });
      inner.info('a');
      inner.info('b', { attempt: 3, path: '/x' });
      log.info('c');
    });
    expect(lines).toEqual([
      '<6>a service=session attempt=2\n',
      '<6>b service=session attempt=3 path=/x\n',
      '<6>c\n',
    ]);
  });

  test.each(['text', 'json'] as const)('hides what looks like a secret, as %s', (format) => {
    const lines = written({ format }, (log) => {
      log.with({ header: `Bearer ${JWT}` }).info(`Got ${JWT}`, { token: JWT });
    });
    expect(lines.join('')).not.toContain('eyJ');
    expect(lines.join('').split('[redacted]')).toHaveLength(4);
  });

  test.each(['text', 'json'] as const)('cannot be made to write a second line, as %s', (format) => {
    const lines = written({ format }, (log) => {
      log.info('first\n<3>forged', { detail: 'x\n<3>forged too' });
    });
    expect(lines.map((line) => line.indexOf('\n') === line.length - 1)).toEqual([true]);
  });
});

describe('lines that repeat themselves', () => {
  const repeating = (work: (log: Log, clock: ManualClock) => void) => {
    const lines: string[] = [];
    const clock = manualClock(TIME);
    const write = (line: string) => void lines.push(line.trimEnd());
    work(lineLog({ clock }, { level: () => 'info', format: 'text', journal: true, write }), clock);
    return lines;
  };

  test('are counted, and told before the next other line', () => {
    const lines = repeating((log) => {
      for (let count = 0; count < 5; count += 1) {
        log.info('a', { n: 1 });
      }
      log.info('a', { n: 2 });
      log.info('a', { n: 2 });
      log.warn('a', { n: 2 });
    });
    expect(lines).toEqual([
      '<6>a n=1',
      '<6>a n=1 repeated=4',
      '<6>a n=2',
      '<6>a n=2 repeated=1',
      '<4>a n=2',
    ]);
  });

  test('are told every ten seconds while they go on', () => {
    const lines = repeating((log, clock) => {
      for (let second = 0; second <= 20; second += 1) {
        log.info('a');
        clock.advance(1_000);
      }
    });
    expect(lines).toEqual(['<6>a', '<6>a repeated=10', '<6>a repeated=10']);
  });
});

describe('lineLog() to the journal', () => {
  const sent = (work: (log: Log) => void, takes = true) => {
    const records: JournalFields[] = [];
    const toJournal = (fields: JournalFields) => {
      records.push(fields);
      return takes;
    };
    const lines = written({ journal: true, toJournal }, work);
    return { records, lines };
  };

  test('gives the line, its priority, the message alone and each field, and writes no line beside it', () => {
    const { records, lines } = sent((log) => {
      log.warn('command failed', {
        command_id: 'c 1',
        duration_ms: 12.5,
        none: undefined,
        a: null,
      });
    });
    expect(records).toEqual([
      [
        ['MESSAGE', 'command failed command_id="c 1" duration_ms=12.5 a=null'],
        ['PRIORITY', '4'],
        ['SYSLOG_IDENTIFIER', 'pipeops-agent'],
        ['PIPEOPS_EVENT', 'command failed'],
        ['PIPEOPS_COMMAND_ID', 'c 1'],
        ['PIPEOPS_DURATION_MS', '12.5'],
        ['PIPEOPS_A', 'null'],
      ],
    ]);
    expect(lines).toEqual([]);
  });

  test('what the journal does not take is written as a line', () => {
    const { lines } = sent((log) => log.error('m', { a: 1 }), false);
    expect(lines).toEqual(['<3>m a=1\n']);
  });

  test('a value is one line without secrets, of limited length; there are not more fields than may be', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`f${at}`, at]));
    const { records } = sent((log) => {
      log.info(`m ${JWT}`, { a: `x\nPRIORITY=0 ${JWT}`, long: 'y'.repeat(100_000), ...many });
    });
    const fields = new Map(records[0]);
    expect(fields.get('PIPEOPS_A')).toBe('x\\nPRIORITY=0 [redacted]');
    expect(fields.get('PIPEOPS_EVENT')).toBe('m [redacted]');
    expect(records[0]?.length).toBe(4 + 32);
    expect(JSON.stringify(records)).not.toContain(JWT);
    expect(Math.max(...[...fields.values()].map(({ length }) => length))).toBeLessThan(10_000);
  });

  test('no name of a field is that of another one of the journal, or none at all', () => {
    const { records } = sent((log) => {
      log.info('m', { priority: 0, 'a-b.c': 1, ['n'.repeat(100)]: 2 });
    });
    expect(records[0]?.slice(4).map(([name]) => name)).toEqual([
      ...['PIPEOPS_PRIORITY', 'PIPEOPS_A_B_C', `PIPEOPS_${'N'.repeat(56)}`],
    ]);
  });
});
