import { Database } from 'bun:sqlite';
import type {
  ClusterStatus,
  CommandResult,
  Heartbeat,
  Registration,
} from '../../../src/protocol/rest.ts';

/** Problems kept of one agent; the oldest go first. */
const PROBLEMS_MAX = 100;

export interface AgentRecord {
  readonly id: string;
  readonly registration: Registration;
  readonly registrations: number;
  readonly last_heartbeat: Heartbeat | null;
  readonly heartbeats: number;
  readonly last_status: ClusterStatus | null;
  /** What the agent did against the protocol, oldest first. */
  readonly protocol_errors: readonly string[];
}

export type CommandState = 'queued' | 'delivered' | 'done' | 'cancelled';

export interface CommandRecord {
  readonly id: string;
  readonly type: string;
  readonly payload: Record<string, unknown>;
  readonly timeout_seconds: number | null;
  readonly created_at: string;
  readonly state: CommandState;
  readonly result: CommandResult | null;
  /** Later, other results for the same command: the agent must never send one. */
  readonly extra_results: number;
}

interface AgentRow {
  readonly id: string;
  readonly registration: string;
  readonly registrations: number;
  readonly last_heartbeat: string | null;
  readonly heartbeats: number;
  readonly last_status: string | null;
}

interface CommandRow {
  readonly id: string;
  readonly type: string;
  readonly payload: string;
  readonly timeout_seconds: number | null;
  readonly created_at: string;
  readonly state: CommandState;
  readonly result: string | null;
  readonly extra_results: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS agents (
    id TEXT PRIMARY KEY, registration TEXT NOT NULL, registrations INTEGER NOT NULL,
    last_heartbeat TEXT, heartbeats INTEGER NOT NULL DEFAULT 0, last_status TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL,
    timeout_seconds REAL, created_at TEXT NOT NULL, state TEXT NOT NULL, result TEXT,
    extra_results INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS problems (
    number INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT NOT NULL, text TEXT NOT NULL) STRICT;`;

/** Everything the local control plane remembers. */
export class ControlPlaneStore implements Disposable {
  readonly #database: Database;

  /** @param path a file, or `:memory:` */
  constructor(path: string) {
    this.#database = new Database(path, { create: true, strict: true });
    this.#database.run('PRAGMA journal_mode = WAL');
    this.#database.run(SCHEMA);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  register(registration: Registration): void {
    this.#database.run(
      `INSERT INTO agents (id, registration, registrations) VALUES (?1, ?2, 1)
       ON CONFLICT (id) DO UPDATE SET registration = ?2, registrations = registrations + 1`,
      [registration.id, JSON.stringify(registration)],
    );
  }

  knows(agentId: string): boolean {
    return this.#agentRow(agentId) !== null;
  }

  heartbeat(agentId: string, heartbeat: Heartbeat): void {
    this.#database.run(
      'UPDATE agents SET last_heartbeat = ?, heartbeats = heartbeats + 1 WHERE id = ?',
      [JSON.stringify(heartbeat), agentId],
    );
  }

  status(agentId: string, status: ClusterStatus): void {
    this.#database.run('UPDATE agents SET last_status = ? WHERE id = ?', [
      JSON.stringify(status),
      agentId,
    ]);
  }

  problem(agentId: string, text: string): void {
    this.#database.run('INSERT INTO problems (agent_id, text) VALUES (?, ?)', [agentId, text]);
    this.#database.run(
      `DELETE FROM problems WHERE agent_id = ?1 AND number <= (
         SELECT max(number) FROM problems WHERE agent_id = ?1) - ?2`,
      [agentId, PROBLEMS_MAX],
    );
  }

  agents(): readonly AgentRecord[] {
    return this.#database
      .query<AgentRow, []>('SELECT * FROM agents ORDER BY id')
      .all()
      .map((row) => this.#agentRecord(row));
  }

  agent(agentId: string): AgentRecord | undefined {
    const row = this.#agentRow(agentId);
    return row === null ? undefined : this.#agentRecord(row);
  }

  queue(agentId: string, command: Omit<CommandRecord, 'state' | 'result' | 'extra_results'>): void {
    this.#database.run(
      `INSERT INTO commands (id, agent_id, type, payload, timeout_seconds, created_at, state)
       VALUES (?, ?, ?, ?, ?, ?, 'queued')`,
      [
        command.id,
        agentId,
        command.type,
        JSON.stringify(command.payload),
        command.timeout_seconds,
        command.created_at,
      ],
    );
  }

  /** REST knows no acknowledgement: what is not done is given out again at every fetch. */
  deliver(agentId: string): readonly CommandRecord[] {
    this.#database.run(
      "UPDATE commands SET state = 'delivered' WHERE agent_id = ? AND state = 'queued'",
      [agentId],
    );
    return this.#database
      .query<CommandRow, [string]>(
        "SELECT * FROM commands WHERE agent_id = ? AND state = 'delivered' ORDER BY rowid LIMIT 100",
      )
      .all(agentId)
      .map(readCommand);
  }

  /** @returns false when it was given out already, or is not known */
  cancel(agentId: string, commandId: string): boolean {
    const { changes } = this.#database.run(
      "UPDATE commands SET state = 'cancelled' WHERE agent_id = ? AND id = ? AND state = 'queued'",
      [agentId, commandId],
    );
    return changes === 1;
  }

  command(agentId: string, commandId: string): CommandRecord | undefined {
    const row = this.#database
      .query<CommandRow, [string, string]>('SELECT * FROM commands WHERE agent_id = ? AND id = ?')
      .get(agentId, commandId);
    return row === null ? undefined : readCommand(row);
  }

  /** The first result counts; the same one again is a harmless repetition, another one is not. */
  finish(agentId: string, commandId: string, result: CommandResult): 'first' | 'same' | 'other' {
    const known = this.command(agentId, commandId)?.result;
    const text = JSON.stringify(result);
    if (known === null || known === undefined) {
      this.#database.run("UPDATE commands SET state = 'done', result = ? WHERE id = ?", [
        text,
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

  #agentRow(agentId: string): AgentRow | null {
    return this.#database
      .query<AgentRow, [string]>('SELECT * FROM agents WHERE id = ?')
      .get(agentId);
  }

  #agentRecord(row: AgentRow): AgentRecord {
    const problems = this.#database
      .query<{ text: string }, [string]>(
        'SELECT text FROM problems WHERE agent_id = ? ORDER BY number',
      )
      .all(row.id);
    return {
      id: row.id,
      registration: JSON.parse(row.registration),
      registrations: row.registrations,
      last_heartbeat: row.last_heartbeat === null ? null : JSON.parse(row.last_heartbeat),
      heartbeats: row.heartbeats,
      last_status: row.last_status === null ? null : JSON.parse(row.last_status),
      protocol_errors: problems.map((problem) => problem.text),
    };
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
    result: row.result === null ? null : JSON.parse(row.result),
    extra_results: row.extra_results,
  };
}
