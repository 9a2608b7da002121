import { rankOfLevel } from '../core/log-levels.ts';
import type { Clock, Log, LogFields, LogLevel } from '../core/ports.ts';
import { redactedStart } from '../core/text/middle-cut.ts';
import { visibleLine } from '../core/text/visible.ts';
import type { JournalFields, SendToJournal } from './journal.ts';

/** sd-daemon(3) priorities: the journal reads them from the start of a line. */
const JOURNAL_PRIORITY: Readonly<Record<LogLevel, number>> = {
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
};

/** Characters of a line before its escapes: what comes from outside may have any length. */
const LINE_LENGTH_MAX = 8_192;

/** Fields of a record of the journal beside its line, and characters of each. */
const JOURNAL_FIELDS_MAX = 32;
const JOURNAL_FIELD_LENGTH_MAX = 1_024;
/** Characters of the name of a field, by systemd.journal-fields(7). */
const JOURNAL_NAME_LENGTH_MAX = 64;

/** While a line repeats itself, it is told this often how many times. */
const REPEATS_TOLD_MS = 10_000;

export interface LogOptions {
  /** The least grave one that is written; asked for each line. */
  readonly level: () => LogLevel;
  /** text: readable lines; json: one object a line. */
  readonly format: 'text' | 'json';
  /** Lines begin with `<priority>`, for a journal that reads standard error. */
  readonly journal: boolean;
  /** Where a finished line goes that the journal has not taken by its own protocol. */
  readonly write: (line: string) => void;
  /** Absent where there is none. */
  readonly toJournal?: SendToJournal | undefined;
  /** Told of each line, too. What it is told may have secrets in it. */
  readonly heard?: (entry: LogEntry) => void;
}

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** The daemon's log: one line an event, secrets redacted. */
export function lineLog(deps: { readonly clock: Clock }, options: LogOptions): Log {
  const write = withoutRepeats(deps.clock, (entry) => {
    if (options.toJournal?.(journalFields(deps.clock, options, entry)) !== true) {
      options.write(`${journalPrefix(options, entry)}${render(deps.clock, options, entry)}\n`);
    }
    options.heard?.(entry);
  });
  const create = (inherited: LogFields): Log => {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (rankOfLevel(level) <= rankOfLevel(options.level())) {
        write({ level, message, fields: { ...inherited, ...fields } });
      }
    };
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      with: (fields) => create({ ...inherited, ...fields }),
    };
  };
  return create({});
}

/** A line that was just written is counted, not written again; its next one says how often it came. */
function withoutRepeats(clock: Clock, write: (entry: LogEntry) => void): (entry: LogEntry) => void {
  let last:
    | { readonly key: string; readonly entry: LogEntry; at: number; repeated: number }
    | undefined;
  const repeats = () => {
    if (last !== undefined && last.repeated > 0) {
      const { level, message, fields } = last.entry;
      write({ level, message, fields: { ...fields, repeated: last.repeated } });
      last.repeated = 0;
    }
  };
  return (entry) => {
    const key = JSON.stringify([entry.level, entry.message, entry.fields]);
    const now = clock.monotonic();
    if (last?.key === key) {
      last.repeated += 1;
      if (now - last.at >= REPEATS_TOLD_MS) {
        last.at = now;
        repeats();
      }
      return;
    }
    repeats();
    last = { key, entry, at: now, repeated: 0 };
    write(entry);
  };
}

function render(clock: Clock, options: LogOptions, entry: LogEntry): string {
  const { level, message, fields } = entry;
  const body =
    options.format === 'json'
      ? JSON.stringify({ time: clock.now().toISOString(), level, message, ...fields })
      : renderText(clock, options, entry);
  return visibleLine(redactedStart(body, LINE_LENGTH_MAX));
}

function journalPrefix({ journal }: LogOptions, { level }: LogEntry): string {
  return journal ? `<${JOURNAL_PRIORITY[level]}>` : '';
}

/**
 * The line as people read it, and beside it what can be searched for: `PIPEOPS_EVENT`, which is the message alone, and
 * each field, as `PIPEOPS_COMMAND_ID`. The prefix keeps ours apart from those of the journal.
 */
function journalFields(clock: Clock, options: LogOptions, entry: LogEntry): JournalFields {
  const { level, message, fields } = entry;
  const oneLine = (text: string) => visibleLine(redactedStart(text, JOURNAL_FIELD_LENGTH_MAX));
  return [
    ['MESSAGE', render(clock, options, entry)],
    ['PRIORITY', String(JOURNAL_PRIORITY[level])],
    ['SYSLOG_IDENTIFIER', 'pipeops-agent'],
    ['PIPEOPS_EVENT', oneLine(message)],
    ...Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .slice(0, JOURNAL_FIELDS_MAX)
      .map(([name, value]) => [journalName(name), oneLine(String(value))] as const),
  ];
}

function journalName(name: string): string {
  const capitals = name.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_');
  return `PIPEOPS_${capitals}`.slice(0, JOURNAL_NAME_LENGTH_MAX);
}

/** The journal has its own time and level; elsewhere they are part of the line. */
function renderText(
  clock: Clock,
  options: LogOptions,
  { level, message, fields }: LogEntry,
): string {
  const head = options.journal ? '' : `${clock.now().toISOString()} ${level.padEnd(5)} `;
  const tail = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${quote(value ?? null)}`);
  return `${head}${message}${tail.join('')}`;
}

function quote(value: string | number | boolean | null): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
