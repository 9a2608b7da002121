/** What the policy refused, over a restart of the agent. Who is refused decides how often: so it is bounded. */
import type { Database } from 'bun:sqlite';
import { type RefusalRow, RefusalRows } from '../protocol/local-policy.ts';
import { machineTrouble } from './trouble.ts';

/** UTF-16 units of all that is kept, as JSON. Of more, those are kept that came last. */
export const REFUSALS_KEPT_CHARS_MAX = 256 * 1024;
const NAME = 'refusals';

export interface KeptRefusals {
  /** The newest first; none where nothing is kept, or in another form by another version. */
  read(): readonly RefusalRow[];
  /**
   * Replaces all of them.
   * @param rows the newest first
   * @throws AgentError DISK_FULL, BUSY or FILE_ACCESS: it may work later
   */
  write(rows: readonly RefusalRow[]): void;
}

/** @param path of the store, for errors */
export function keptRefusals(database: Database, path: string): KeptRefusals {
  return {
    read: () => {
      const row = database
        .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
        .get(NAME);
      try {
        return RefusalRows.safeParse(JSON.parse(row?.value ?? '[]')).data ?? [];
      } catch {
        return []; // Nothing depends on them.
      }
    },
    write: (rows) => {
      const text = `[${fitting(rows).join(',')}]`;
      try {
        database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [NAME, text]);
      } catch (thrown) {
        throw machineTrouble('write', path, thrown) ?? thrown;
      }
    },
  };
}

function fitting(rows: readonly RefusalRow[]): readonly string[] {
  const texts: string[] = [];
  let left = REFUSALS_KEPT_CHARS_MAX;
  for (const row of rows) {
    const text = JSON.stringify(row);
    left -= text.length + 1;
    if (left < 0) {
      break;
    }
    texts.push(text);
  }
  return texts;
}
