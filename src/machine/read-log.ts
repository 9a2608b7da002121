/**
 * The log of the agent, or of k3s, from the journal: so also while the agent is down. Where there is no
 * journal, from the agent itself, which remembers its newest lines.
 */
import { AgentError, toAgentError } from '../core/errors.ts';
import { K3S_ROLES, K3S_UNITS, k3sUnitFile } from '../core/k3s-places.ts';
import { UNIT_NAME } from '../core/places.ts';
import type { LogLevel } from '../core/ports.ts';
import type { LogLine } from '../protocol/local-realtime.ts';
import { followOwnLog } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';

export interface LogWish {
  readonly follow: boolean;
  /** The newest ones; undefined: all since then. */
  readonly lines: number | undefined;
  readonly since: Date | undefined;
  readonly level: LogLevel;
  readonly ofK3s: boolean;
}

export type HearLine = (line: LogLine) => void | Promise<void>;

/** Of fields that the agent gave a record (platform/log.ts). */
const OWN_PREFIX = 'PIPEOPS_';

/** How long all lines may take, and how long they are followed: about as long as a timer can be, ms. */
const READ_MS_MAX = 24 * 86_400_000;
/** Lines of a journal at once from the agent itself. */
const OWN_LINES_MAX = 1_000;

/** Names of sd-daemon(3). */
const PRIORITIES: Readonly<Record<LogLevel, string>> = {
  error: 'err',
  warn: 'warning',
  info: 'info',
  debug: 'debug',
};

type Reading = Pick<
  MachineContext,
  'clock' | 'env' | 'exec' | 'files' | 'http' | 'places' | 'signal'
>;

/** @throws AgentError NOT_INSTALLED, TOOL_FAILED, DAEMON_UNREACHABLE, INTERRUPTED */
export async function readLog(context: Reading, wish: LogWish, hear: HearLine): Promise<void> {
  const unit = wish.ofK3s ? await k3sUnit(context) : UNIT_NAME;
  try {
    await readJournal(context, unit, wish, hear);
  } catch (thrown) {
    if (wish.ofK3s || toAgentError(thrown).code !== 'TOOL_MISSING') {
      throw thrown;
    }
    const tail = Math.min(wish.lines ?? OWN_LINES_MAX, OWN_LINES_MAX);
    const { follow, level } = wish;
    await followOwnLog(context, { follow, level, tail }, async (line) => {
      if (wish.since === undefined || Date.parse(line.timestamp) >= wish.since.getTime()) {
        await hear(line);
      }
    });
  }
}

async function k3sUnit({ files }: Pick<Reading, 'files'>): Promise<string> {
  for (const role of K3S_ROLES) {
    if ((await files.stat(k3sUnitFile(role))) !== undefined) {
      return K3S_UNITS[role];
    }
  }
  throw new AgentError('NOT_INSTALLED', 'k3s is not set up on this machine', {
    hint: 'Make it a server: sudo pipeops-agent install; or a worker: sudo pipeops-agent join',
  });
}

async function readJournal(
  { exec, signal }: Reading,
  unit: string,
  { follow, lines, since, level }: LogWish,
  hear: HearLine,
): Promise<void> {
  const said: string[] = [];
  const { exitCode } = await exec.run(
    [
      ...(['journalctl', '--no-pager', '--output', 'json', '--unit', unit] as const),
      ...['--priority', PRIORITIES[level]],
      ...['--lines', lines === undefined ? 'all' : String(lines)],
      ...(since === undefined ? [] : ['--since', `@${Math.floor(since.getTime() / 1_000)}`]),
      ...(follow ? ['--follow'] : []),
    ],
    {
      timeoutMs: READ_MS_MAX,
      signal,
      keepsOutput: false,
      onLine: async (text) => {
        const line = journalLine(text);
        if (line !== undefined) {
          await hear(line);
        } else if (said.length === 0) {
          said.push(text); // What it says itself; mostly that this user may see nothing.
        }
      },
    },
  );
  if (exitCode !== 0) {
    throw new AgentError(
      'TOOL_FAILED',
      `journalctl failed: ${said[0] ?? `exit code ${exitCode}`}`,
      {
        hint: 'Run the same command with sudo',
      },
    );
  }
}

/** Fields of systemd.journal-fields(7). Undefined: it is no entry of the journal. */
function journalLine(text: string): LogLine | undefined {
  if (!text.startsWith('{')) {
    return undefined;
  }
  const entry = parsed(text);
  const micros = Number(entry?.['__REALTIME_TIMESTAMP']);
  if (entry === undefined || !Number.isFinite(micros)) {
    return undefined;
  }
  return {
    timestamp: new Date(micros / 1_000).toISOString(),
    level: levelOf(Number(entry['PRIORITY'] ?? 6)),
    ...ownWords(entry),
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function levelOf(priority: number): LogLevel {
  if (priority <= 3) {
    return 'error';
  }
  return priority === 4 ? 'warn' : priority >= 7 ? 'debug' : 'info';
}

/** What the agent wrote as a message with fields is that again; all else is one message. */
function ownWords(entry: Readonly<Record<string, unknown>>): Pick<LogLine, 'message' | 'fields'> {
  const { PIPEOPS_EVENT: event, ...others } = entry;
  if (typeof event !== 'string') {
    return { message: textOf(entry['MESSAGE']), fields: {} };
  }
  const fields = Object.entries(others)
    .filter(([name]) => name.startsWith(OWN_PREFIX))
    .map(([name, value]) => [name.slice(OWN_PREFIX.length).toLowerCase(), textOf(value)]);
  return { message: event, fields: Object.fromEntries(fields) };
}

/** Bytes that are no text come as numbers; what is very long comes as null. */
function textOf(message: unknown): string {
  if (typeof message === 'string') {
    return message;
  }
  return Array.isArray(message) ? Buffer.from(message as number[]).toString() : '(too long)';
}
