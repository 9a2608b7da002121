import type { Clock, Log, LogFields, LogLevel } from '../core/ports.ts';
import { redactedStart } from '../core/text/middle-cut.ts';
import { visibleLine } from '../core/text/visible.ts';

const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** sd-daemon(3) priorities: the journal reads them from the start of a line. */
const JOURNAL_PRIORITY: Readonly<Record<LogLevel, number>> = {
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
};

/** Characters of a line before its escapes: what comes from outside may have any length. */
const LINE_LENGTH_MAX = 8_192;

export interface LogOptions {
  readonly level: LogLevel;
  /** text: readable lines; json: one object a line. */
  readonly format: 'text' | 'json';
  /** Lines begin with `<priority>`, for a journal that reads standard error. */
  readonly journal: boolean;
  /** Where a finished line goes. */
  readonly write: (line: string) => void;
}

/** The daemon's log: one line an event, secrets redacted. */
export function lineLog(deps: { readonly clock: Clock }, options: LogOptions): Log {
  const threshold = LEVELS.indexOf(options.level);
  const create = (inherited: LogFields): Log => {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (LEVELS.indexOf(level) <= threshold) {
        options.write(render(deps.clock, options, level, message, { ...inherited, ...fields }));
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

function render(
  clock: Clock,
  options: LogOptions,
  level: LogLevel,
  message: string,
  fields: LogFields,
): string {
  const prefix = options.journal ? `<${JOURNAL_PRIORITY[level]}>` : '';
  const body =
    options.format === 'json'
      ? JSON.stringify({ time: clock.now().toISOString(), level, message, ...fields })
      : renderText(clock, options, level, message, fields);
  return `${prefix}${visibleLine(redactedStart(body, LINE_LENGTH_MAX))}\n`;
}

/** The journal has its own time and level; elsewhere they are part of the line. */
function renderText(
  clock: Clock,
  options: LogOptions,
  level: LogLevel,
  message: string,
  fields: LogFields,
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
