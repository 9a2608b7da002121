import type { Database } from 'bun:sqlite';

/** What a server keeps of the session that it shares with other servers. */
export interface SessionShare {
  /** Whether it was the only server when it last knew. */
  isAlone(): boolean;
  note(isAlone: boolean): void;
  /** A hash of what was last the same here and in the cluster. */
  synced(): string | undefined;
  noteSynced(hash: string): void;
  /** The policy that was applied last in the cluster, as text, where the file here is not known to be the same. */
  policy(): string | undefined;
  notePolicy(text: string | undefined): void;
}

const NAMES = ['is_only_server', 'session_synced', 'shared_policy'] as const;
type Name = (typeof NAMES)[number];

/**
 * Kept in memory as well: it is asked several times a second, and only this process writes it.
 * @param isAloneAtFirst before anything was noted
 */
export function sessionShare(database: Database, isAloneAtFirst: boolean): SessionShare {
  const read = (name: Name) =>
    database
      .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
      .get(name)?.value;
  const known = new Map(NAMES.map((name) => [name, read(name)]));
  const write = (name: Name, value: string | undefined) => {
    if (known.get(name) === value) {
      return;
    }
    if (value === undefined) {
      database.run('DELETE FROM identity WHERE name = ?', [name]);
    } else {
      database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [name, value]);
    }
    known.set(name, value); // Only now: what could not be written was not noted.
  };
  return {
    isAlone: () => (known.get('is_only_server') ?? (isAloneAtFirst ? 'yes' : 'no')) === 'yes',
    note: (isAlone) => write('is_only_server', isAlone ? 'yes' : 'no'),
    synced: () => known.get('session_synced'),
    noteSynced: (hash) => write('session_synced', hash),
    policy: () => known.get('shared_policy'),
    notePolicy: (text) => write('shared_policy', text),
  };
}
