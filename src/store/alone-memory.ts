import type { Database } from 'bun:sqlite';

const NAME = 'is_only_server';

/**
 * Whether this server was the only one of its cluster when it last knew, durable.
 * @param atFirst before anything was noted
 */
export function aloneMemory(
  database: Database,
  atFirst: boolean,
): { isAlone(): boolean; note(isAlone: boolean): void } {
  return {
    isAlone: () => {
      const row = database
        .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
        .get(NAME);
      return row === null ? atFirst : row.value === 'yes';
    },
    note: (isAlone) => {
      const value = isAlone ? 'yes' : 'no';
      database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [NAME, value]);
    },
  };
}
