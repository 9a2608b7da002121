import { Database } from 'bun:sqlite';
import type { CommandResult } from '../../../src/protocol/rest.ts';
import type {
  CommandAckPayload,
  CommandProgressPayload,
} from '../../../src/protocol/session/messages.ts';
import { AgentStore } from './agent-store.ts';
import { RouteStore } from './route-store.ts';

/** Commands given out by one fetch. */
const FETCH_MAX = 100;
/** Events kept of one command, the newest; a command of a test has fewer. */
const EVENTS_MAX = 500;
/** News kept of one command, the newest. */
const PROGRESS_MAX = 200;

/** acknowledged: the agent has it durably. cancelled: taken back before it was given out. */
export type CommandState = 'queued' | 'delivered' | 'acknowledged' | 'done' | 'cancelled';

/** What happened to a command, in the order of its happening. */
export interface CommandEvent {
  readonly kind: 'delivered' | 'acknowledged' | 'cancel_sent' | 'cancel_acknowledged' | 'result';
  readonly transport: 'rest' | 'websocket';
  /** Of an acknowledgement: its outcome. Of a result: whether it is the first, the same, another. */
  readonly outcome: string | null;
}

export interface CommandRecord {
  readonly id: string;
  readonly type: string;
  readonly payload: Record<string, unknown>;
  readonly timeout_seconds: number | null;
  readonly created_at: string;
  readonly state: CommandState;
  readonly cancel_requested: boolean;
  readonly result: CommandResult | null;
  /** Later, other results for the same command: the agent must never send one. */
  readonly extra_results: number;
}

export type NewCommand = Pick<
  CommandRecord,
  'id' | 'type' | 'payload' | 'timeout_seconds' | 'created_at'
>;

type CommandRow = Omit<CommandRecord, 'payload' | 'result' | 'cancel_requested'> & {
  readonly payload: string;
  readonly result: string | null;
  readonly cancel_requested: number;
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL,
    timeout_seconds REAL, created_at TEXT NOT NULL, state TEXT NOT NULL, result TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0, extra_results INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE INDEX IF NOT EXISTS commands_of_agent ON commands (agent_id, state);
  CREATE TABLE IF NOT EXISTS command_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, command_id TEXT NOT NULL, kind TEXT NOT NULL,
    transport TEXT NOT NULL, outcome TEXT) STRICT;
  CREATE INDEX IF NOT EXISTS events_of_command ON command_events (command_id);
  CREATE TABLE IF NOT EXISTS command_progress (
    number INTEGER PRIMARY KEY AUTOINCREMENT, command_id TEXT NOT NULL, news TEXT NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS progress_of_command ON command_progress (command_id);`;

/** Everything the local control plane remembers: its agents and what they were told to do. */
export class ControlPlaneStore extends AgentStore implements Disposable {
  readonly #database: Database;
  readonly routes: RouteStore;

  /** @param path a file, or `:memory:` */
  constructor(path: string) {
    const database = new Database(path, { create: true, strict: true });
    database.run('PRAGMA journal_mode = WAL');
    database.run(SCHEMA);
    super(database);
    this.#database = database;
    this.routes = new RouteStore(database);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  queue(agentId: string, command: NewCommand): void {
    this.#database.run(
      `INSERT INTO commands (id, agent_id, type, payload, timeout_seconds, created_at, state)
       VALUES (?, ?, ?, ?, ?, ?, 'queued')`,
      [
        ...[command.id, agentId, command.type, JSON.stringify(command.payload)],
        ...[command.timeout_seconds, command.created_at],
      ],
    );
  }

  /** REST knows no acknowledgement: what is not done is given out again at every fetch. */
  deliver(agentId: string): readonly CommandRecord[] {
    const commands = this.open(agentId, FETCH_MAX);
    for (const { id } of commands) {
      this.sent(id, 'rest');
    }
    return commands;
  }

  /** The newest first. */
  newest(agentId: string, limit: number): readonly CommandRecord[] {
    return this.#database
      .query<CommandRow, [string, number]>(
        'SELECT * FROM commands WHERE agent_id = ? ORDER BY rowid DESC LIMIT ?',
      )
      .all(agentId, limit)
      .map(readCommand);
  }

  /** What has no result yet, oldest first. */
  open(agentId: string, limit: number): readonly CommandRecord[] {
    return this.#database
      .query<CommandRow, [string, number]>(
        `SELECT * FROM commands WHERE agent_id = ?
         AND state IN ('queued', 'delivered', 'acknowledged') ORDER BY rowid LIMIT ?`,
      )
      .all(agentId, limit)
      .map(readCommand);
  }

  /** It was given out. */
  sent(commandId: string, transport: CommandEvent['transport']): void {
    this.#database.run(
      "UPDATE commands SET state = 'delivered' WHERE id = ? AND state = 'queued'",
      [commandId],
    );
    this.note(commandId, { kind: 'delivered', transport, outcome: null });
  }

  acknowledged(commandId: string, outcome: CommandAckPayload['outcome']): void {
    if (outcome === 'accepted' || outcome === 'duplicate') {
      this.#database.run(
        "UPDATE commands SET state = 'acknowledged' WHERE id = ? AND state = 'delivered'",
        [commandId],
      );
    }
    this.note(commandId, { kind: 'acknowledged', transport: 'websocket', outcome });
  }

  /** @returns false when it was given out already, or is not known */
  takeBack(agentId: string, commandId: string): boolean {
    const { changes } = this.#database.run(
      "UPDATE commands SET state = 'cancelled' WHERE agent_id = ? AND id = ? AND state = 'queued'",
      [agentId, commandId],
    );
    return changes === 1;
  }

  /** @returns false when it has its result, or is not known */
  requestCancel(agentId: string, commandId: string): boolean {
    const { changes } = this.#database.run(
      `UPDATE commands SET cancel_requested = 1 WHERE agent_id = ? AND id = ?
       AND state IN ('delivered', 'acknowledged')`,
      [agentId, commandId],
    );
    return changes === 1;
  }

  note(commandId: string, event: CommandEvent): void {
    this.#database.run(
      'INSERT INTO command_events (command_id, kind, transport, outcome) VALUES (?, ?, ?, ?)',
      [commandId, event.kind, event.transport, event.outcome],
    );
    this.#keepNewest('command_events', commandId, EVENTS_MAX);
  }

  events(commandId: string): readonly CommandEvent[] {
    return this.#database
      .query<CommandEvent, [string]>(
        'SELECT kind, transport, outcome FROM command_events WHERE command_id = ? ORDER BY number',
      )
      .all(commandId);
  }

  addProgress(news: CommandProgressPayload): void {
    this.#database.run('INSERT INTO command_progress (command_id, news) VALUES (?, ?)', [
      news.id,
      JSON.stringify(news),
    ]);
    this.#keepNewest('command_progress', news.id, PROGRESS_MAX);
  }

  progress(commandId: string): readonly CommandProgressPayload[] {
    return this.#database
      .query<{ news: string }, [string]>(
        'SELECT news FROM command_progress WHERE command_id = ? ORDER BY number',
      )
      .all(commandId)
      .map(({ news }) => JSON.parse(news));
  }

  command(agentId: string, commandId: string): CommandRecord | undefined {
    const row = this.#database
      .query<CommandRow, [string, string]>('SELECT * FROM commands WHERE agent_id = ? AND id = ?')
      .get(agentId, commandId);
    return row === null ? undefined : readCommand(row);
  }

  /** The first result counts; the same one again is a harmless repetition, another one is not. */
  finish(
    agentId: string,
    commandId: string,
    result: CommandResult,
    transport: CommandEvent['transport'] = 'rest',
  ): 'first' | 'same' | 'other' {
    const outcome = this.#keepResult(agentId, commandId, result);
    this.note(commandId, { kind: 'result', transport, outcome });
    return outcome;
  }

  #keepResult(agentId: string, commandId: string, result: CommandResult) {
    const known = this.command(agentId, commandId)?.result;
    if (known === null || known === undefined) {
      this.#database.run("UPDATE commands SET state = 'done', result = ? WHERE id = ?", [
        JSON.stringify(result),
        commandId,
      ]);
      return 'first';
    }
    if (Bun.deepEquals(known, result)) {
      return 'same';
    }
    this.#database.run('UPDATE commands SET extra_results = extra_results + 1 WHERE id = ?', [
      commandId,
    ]);
    return 'other';
  }

  #keepNewest(table: 'command_events' | 'command_progress', commandId: string, count: number) {
    this.#database.run(
      `DELETE FROM ${table} WHERE command_id = ?1 AND number <= (
         SELECT number FROM ${table} WHERE command_id = ?1
         ORDER BY number DESC LIMIT 1 OFFSET ?2)`,
      [commandId, count],
    );
  }
}

function readCommand(row: CommandRow): CommandRecord {
  return {
    id: row.id,
    type: row.type,
    payload: JSON.parse(row.payload),
    timeout_seconds: row.timeout_seconds,
    created_at: row.created_at,
    state: row.state,
    cancel_requested: row.cancel_requested === 1,
    result: row.result === null ? null : JSON.parse(row.result),
    extra_results: row.extra_results,
  };
}
