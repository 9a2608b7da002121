import { SQLiteError } from 'bun:sqlite';
import { AgentError, type ErrorCode } from '../core/errors.ts';
import { troubleOf } from '../core/trouble.ts';

/**
 * Troubles of the machine and not of the store, which is whole and stays where it is
 * (sqlite.org, "Result and Extended Result Codes"; extended ones begin like these).
 */
const MACHINE_TROUBLES: Readonly<Record<string, ErrorCode>> = {
  SQLITE_FULL: 'DISK_FULL',
  SQLITE_BUSY: 'BUSY',
  SQLITE_LOCKED: 'BUSY',
  SQLITE_CANTOPEN: 'FILE_ACCESS',
  SQLITE_READONLY: 'FILE_ACCESS',
  SQLITE_PERM: 'FILE_ACCESS',
  SQLITE_IOERR: 'FILE_ACCESS',
  SQLITE_NOMEM: 'INTERNAL',
};

/** What the machine did to the store; undefined when the store itself is to blame. */
export function machineTrouble(action: string, thrown: unknown): AgentError | undefined {
  const sqliteCode = thrown instanceof SQLiteError ? (thrown.code ?? '') : '';
  const trouble = Object.entries(MACHINE_TROUBLES).find(([code]) => sqliteCode.startsWith(code));
  if (trouble === undefined) {
    return undefined;
  }
  return new AgentError(trouble[1], `Cannot ${action}: ${troubleOf(thrown)}`, {
    hint: 'Check the space and the permissions where the store stands, and who else has it open',
    cause: thrown,
  });
}

/** Whether the same write can work later: the space comes back, the other one lets go. */
export function isPassing(error: AgentError): boolean {
  return error.code === 'DISK_FULL' || error.code === 'BUSY' || error.code === 'FILE_ACCESS';
}
