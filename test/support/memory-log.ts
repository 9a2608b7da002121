import type { Log, LogFields, LogLevel } from '../../src/core/ports.ts';

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  /** The fields of the line over those that `with` gave. */
  readonly fields: LogFields;
}

export interface MemoryLog extends Log {
  /** Everything logged so far, also by the logs that `with` made of this one. */
  readonly entries: readonly LogEntry[];
}

/** A log that keeps its lines for a test to compare. */
export function memoryLog(): MemoryLog {
  const entries: LogEntry[] = [];
  return { ...logInto(entries, {}), entries };
}

function logInto(entries: LogEntry[], inherited: LogFields): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    entries.push({ level, message, fields: { ...inherited, ...fields } });
  };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    with: (fields) => logInto(entries, { ...inherited, ...fields }),
  };
}
