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

/** @param isAloneAtFirst before anything was noted */
export function sessionShare(database: Database, isAloneAtFirst: boolean): SessionShare {
  const read = (name: string) =>
    database
      .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
      .get(name)?.value;
  const write = (name: string, value: string) => {
    if (read(name) !== value) {
      database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [name, value]);
    }
  };
  const forget = (name: string) => {
    if (read(name) !== undefined) {
      database.run('DELETE FROM identity WHERE name = ?', [name]);
    }
  };
  return {
    isAlone: () => (read('is_only_server') ?? (isAloneAtFirst ? 'yes' : 'no')) === 'yes',
    note: (isAlone) => write('is_only_server', isAlone ? 'yes' : 'no'),
    synced: () => read('session_synced'),
    noteSynced: (hash) => write('session_synced', hash),
    policy: () => read('shared_policy'),
    notePolicy: (text) =>
      text === undefined ? forget('shared_policy') : write('shared_policy', text),
  };
}
