import { SQLiteError } from 'bun:sqlite';
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
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

/**
 * SQLite's shared memory takes this much at once; on a full disk that fails as an error of the
 * disk.
 */
const SHARED_MEMORY_BYTES = 32 * 1024;

/**
 * What the machine did to the store; undefined when the store itself is to blame.
 * @param path of the store
 */
export function machineTrouble(
  action: string,
  path: string,
  thrown: unknown,
): AgentError | undefined {
  const sqliteCode = thrown instanceof SQLiteError ? (thrown.code ?? '') : '';
  const trouble = Object.entries(MACHINE_TROUBLES).find(([code]) => sqliteCode.startsWith(code));
  if (trouble === undefined) {
    return undefined;
  }
  const isFull =
    trouble[1] === 'DISK_FULL' || (sqliteCode.startsWith('SQLITE_IOERR') && hasNoRoom(path));
  return isFull
    ? new AgentError('DISK_FULL', `Cannot ${action} ${path}: no space left on the disk`, {
        hint: `Free some space on the file system of ${path}; the agent then goes on by itself`,
        cause: thrown,
      })
    : new AgentError(trouble[1], `Cannot ${action} ${path}: ${troubleOf(thrown)}`, {
        hint: 'Check the permissions where the store stands, and who else has it open',
        cause: thrown,
      });
}

function hasNoRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < SHARED_MEMORY_BYTES;
  } catch {
    return false; // The directory is out of reach: that is trouble of another kind.
  }
}

const PASSING: readonly ErrorCode[] = ['DISK_FULL', 'BUSY', 'FILE_ACCESS', 'MEMORY_UNREACHABLE'];

/** Whether the same write can work later: the space comes back, the other one lets go or answers. */
export function isPassing(error: AgentError): boolean {
  return PASSING.includes(error.code);
}
