import { AgentError } from '../../core/errors.ts';
import { LOG_LEVELS } from '../../core/log-levels.ts';
import type { LogLevel } from '../../core/ports.ts';
import { formatDuration } from '../../core/text/duration.ts';
import { visibleLine } from '../../core/text/visible.ts';
import type { LogLine } from '../../protocol/local-realtime.ts';
import type { LogLevelAnswer } from '../../protocol/local-status.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { readDuration } from '../definition/read-duration.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

const LINES_MAX = 100_000;
const LINES_USUAL = 100;
const DAY_MS = 86_400_000;
const SINCE = { minMs: 1_000, maxMs: 366 * DAY_MS, example: '1h' };
const FOR = { minMs: 1_000, maxMs: DAY_MS, example: '10m' };
/** What may wait for a slow reader of standard output, characters. */
const UNREAD_LENGTH_MAX = 64 * 1024;

export const logsSubcommand = defineSubcommand({
  name: 'logs',
  description:
    'Shows the log of the agent from the journal, also while it is down; where there is no journal, what the agent remembers.',
  example: 'sudo pipeops-agent logs --since 1h --level warn',
  flags: {
    follow: {
      type: 'boolean',
      short: 'f',
      default: false,
      description: 'Go on with what comes, until Ctrl-C; also as -f',
    },
    since: { type: 'string', description: 'Only of the last time so long', valueHint: 'DURATION' },
    lines: {
      type: 'string',
      description: `How many of the newest lines; ${LINES_USUAL} where --since is not given, else all`,
      valueHint: 'N',
    },
    level: {
      type: 'string',
      description: 'Only lines that are at least so grave',
      default: 'debug',
      values: LOG_LEVELS,
      valueHint: 'LEVEL',
    },
    k3s: { type: 'boolean', default: false, description: 'The log of k3s instead' },
    json: {
      type: 'boolean',
      default: false,
      description: 'One object a line: timestamp, level, message, fields',
    },
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const since = flags.since && readDuration('since', flags.since, SINCE);
    const wish = {
      follow: flags.follow,
      lines: linesOf(flags.lines, since !== undefined),
      since: since ? new Date(context.clock.now().getTime() - since) : undefined,
      level: readLevel(flags.level),
      ofK3s: flags.k3s,
    };
    const { readLog } = await import('../../machine/read-log.ts');
    const write = pacedOutput(context);
    try {
      await readLog(context, wish, (line) =>
        write(flags.json ? JSON.stringify(line) : lineText(line)),
      );
    } catch (thrown) {
      // Ctrl-C is how a person ends it.
      if (!context.signal.aborted || !wish.follow) {
        throw thrown;
      }
    }
    return 0;
  },
});

export const logLevelSubcommand = defineSubcommand({
  name: 'log-level',
  description:
    'Shows how much the running agent logs, or changes it for a while: it goes back by itself. For good: log.level in config.yaml.',
  example: 'sudo pipeops-agent log-level debug --for 10m',
  flags: {
    for: {
      type: 'string',
      description: 'How long, at most a day',
      default: FOR.example,
      valueHint: 'DURATION',
    },
    json: JSON_FLAG,
  },
  words: [{ name: 'LEVEL', description: 'The new level', required: false, values: LOG_LEVELS }],
  needsRoot: false,
  run: async (context, { flags, words }) => {
    const forMs = readDuration('for', flags.for, FOR);
    const change =
      words.LEVEL === undefined
        ? undefined
        : { level: readLevel(words.LEVEL), seconds: Math.round(forMs / 1_000) };
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const answer = await (change === undefined
      ? askRoute(context, 'GET /api/log-level', {})
      : askRoute(context, 'POST /api/log-level', change));
    context.io.stdout(
      flags.json ? jsonDocument<'log-level'>(answer) : levelText(answer, context.clock.now()),
    );
    return 0;
  },
});

function levelText({ level, configured, until }: LogLevelAnswer, now: Date): string {
  if (until === null) {
    return `${level}\n`;
  }
  const left = formatDuration(Math.max(0, Date.parse(until) - now.getTime()));
  return `${level} for ${left} more, then ${configured}\n`;
}

function readLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === text);
  if (level === undefined) {
    throw new AgentError('USAGE', `There is no level "${visibleLine(text)}"`, {
      hint: `Give one of: ${LOG_LEVELS.join(', ')}`,
    });
  }
  return level;
}

function linesOf(text: string | undefined, isBounded: boolean): number | undefined {
  if (text === undefined) {
    return isBounded ? undefined : LINES_USUAL;
  }
  const lines = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (lines < 0 || lines > LINES_MAX) {
    throw new AgentError('USAGE', `Cannot use --lines "${text}"`, {
      hint: `Give a number from 0 to ${LINES_MAX}`,
    });
  }
  return lines;
}

/** Local time of this machine is what its other logs have, but lines of several machines are compared. */
function lineText({ timestamp, level, message, fields }: LogLine): string {
  const more = Object.entries(fields).map(([name, value]) => ` ${name}=${fieldText(value)}`);
  return visibleLine(`${timestamp} ${level.padEnd(5)} ${message}${more.join('')}`);
}

/** As in the line itself (platform/log.ts): quoted only where it would be read as several. */
function fieldText(value: string | number | boolean | null): string {
  return typeof value === 'string' && !/^[^\s"=]+$/.test(value)
    ? JSON.stringify(value)
    : String(value);
}

/** Writes lines no faster than they are read: a journal may be larger than memory. */
function pacedOutput({ io }: CliContext): (line: string) => Promise<void> | void {
  let unread = 0;
  return (line) => {
    io.stdout(`${line}\n`);
    unread += line.length;
    if (unread >= UNREAD_LENGTH_MAX) {
      unread = 0;
      return io.flush();
    }
    return undefined;
  };
}
