import type { Database } from 'bun:sqlite';
import type { ClusterStatus, Heartbeat, Registration } from '../../../src/protocol/rest.ts';
import type { HeartbeatPayload, RegisterPayload } from '../../../src/protocol/session/messages.ts';

/** Problems, and unknown types, kept of one agent; the oldest go first. */
const NOTES_MAX = 100;

export type Transport = 'rest' | 'websocket' | 'gateway';

export interface AgentRecord {
  readonly id: string;
  /** As it came, of the transport that registered last. */
  readonly registration: Registration | RegisterPayload;
  readonly cluster_name: string;
  readonly version: string;
  readonly registrations: number;
  readonly cluster_id: string;
  readonly cluster_uuid: string;
  /** What it registered or sent its heartbeat by last. */
  readonly transport: Transport;
  readonly last_heartbeat: Heartbeat | HeartbeatPayload | null;
  /** ISO time of its arrival. */
  readonly last_heartbeat_at: string | null;
  readonly heartbeats: number;
  /** ISO time of its goodbye; null when it has not said one, or came back. */
  readonly left_at: string | null;
  /** ISO time of its last sign of life: a call, a heartbeat, the end of its WebSocket. */
  readonly seen_at: string | null;
  readonly last_status: ClusterStatus | null;
  /** Deltas that did not fit what was known; each was answered with `status_request`. */
  readonly status_gaps: number;
  /** What the agent did against the protocol, oldest first. */
  readonly protocol_errors: readonly string[];
  /** Message types that it said it does not know. */
  readonly fallbacks: readonly string[];
}

type AgentRow = Omit<
  AgentRecord,
  | 'registration'
  | 'last_heartbeat'
  | 'last_status'
  | 'left_at'
  | 'seen_at'
  | 'protocol_errors'
  | 'fallbacks'
> & {
  readonly registration: string;
  readonly last_heartbeat: string | null;
  readonly last_status: string | null;
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS agents (
    id TEXT PRIMARY KEY, registration TEXT NOT NULL, cluster_name TEXT NOT NULL,
    version TEXT NOT NULL, registrations INTEGER NOT NULL, cluster_id TEXT NOT NULL,
    cluster_uuid TEXT NOT NULL UNIQUE, transport TEXT NOT NULL, last_heartbeat TEXT,
    last_heartbeat_at TEXT, heartbeats INTEGER NOT NULL DEFAULT 0, last_status TEXT,
    status_gaps INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS departures (
    agent_id TEXT PRIMARY KEY, left_at TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS service_tokens (
    agent_id TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS problems (
    number INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS fallbacks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT NOT NULL, text TEXT NOT NULL) STRICT;`;

/** What the local control plane remembers of its agents. */
export class AgentStore {
  readonly #database: Database;
  /** Of service_tokens, as far as it was asked for: each request to a cluster asks. */
  readonly #serviceTokens = new Map<string, string>();
  /** Not worth a write at each poll: after a restart the last heartbeat counts. */
  readonly #seenAt = new Map<string, string>();

  constructor(database: Database) {
    this.#database = database;
    this.#database.run(SCHEMA);
  }

  register(registration: Registration): void {
    const { id, cluster_name: clusterName, version } = registration;
    this.#register(id, registration, { clusterName, version, transport: 'rest' });
  }

  registerByWebSocket(payload: RegisterPayload): void {
    const { agent_id: id, name: clusterName, agent_version: version } = payload;
    // Kept apart: what is shown of an agent must not show it.
    const { k8s_service_token: token, ...registration } = payload;
    this.#register(id, registration, { clusterName, version, transport: 'websocket' });
    this.#database.run('INSERT OR REPLACE INTO service_tokens (agent_id, token) VALUES (?, ?)', [
      ...[id, token ?? ''],
    ]);
    this.#serviceTokens.set(id, token ?? '');
  }

  #register(
    id: string,
    registration: object,
    facts: {
      readonly clusterName: string;
      readonly version: string;
      readonly transport: Transport;
    },
  ): void {
    this.#database.run(
      `INSERT INTO agents (id, registration, cluster_name, version, registrations, cluster_id,
         cluster_uuid, transport) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
       ON CONFLICT (id) DO UPDATE SET registration = ?2, cluster_name = ?3, version = ?4,
         registrations = registrations + 1, transport = ?7`,
      [
        ...[id, JSON.stringify(registration), facts.clusterName, facts.version],
        ...[`cluster-${crypto.randomUUID().slice(0, 8)}`, crypto.randomUUID(), facts.transport],
      ],
    );
    this.#isBack(id);
    this.saw(id);
  }

  /** It gave a sign of life. */
  saw(agentId: string): void {
    this.#seenAt.set(agentId, new Date().toISOString());
  }

  #left(agentId: string): void {
    this.#database.run('INSERT OR REPLACE INTO departures (agent_id, left_at) VALUES (?, ?)', [
      ...[agentId, new Date().toISOString()],
    ]);
  }

  #isBack(agentId: string): void {
    this.#database.run('DELETE FROM departures WHERE agent_id = ?', [agentId]);
  }

  /** What requests to the agent's cluster carry; of its last registration. */
  serviceToken(agentId: string): string | undefined {
    const known = this.#serviceTokens.get(agentId) ?? this.#storedServiceToken(agentId);
    if (known !== undefined) {
      this.#serviceTokens.set(agentId, known);
    }
    return known;
  }

  /** It announced `supports_flow_control`, or has registered by REST only, where nothing is announced. */
  isWindowed(agentId: string): boolean {
    const found = this.#database
      .query<{ flag: number | null }, [string]>(
        `SELECT json_extract(registration, '$.features.supports_flow_control') AS flag
         FROM agents WHERE id = ?`,
      )
      .get(agentId);
    return found?.flag !== 0;
  }

  #storedServiceToken(agentId: string): string | undefined {
    return (
      this.#database
        .query<{ token: string }, [string]>('SELECT token FROM service_tokens WHERE agent_id = ?')
        .get(agentId)?.token ?? undefined
    );
  }

  knows(agentId: string): boolean {
    return this.#agentRow(agentId) !== null;
  }

  /** As if it had never registered; its commands stay. */
  forget(agentId: string): boolean {
    this.#isBack(agentId);
    this.#seenAt.delete(agentId);
    return this.#database.run('DELETE FROM agents WHERE id = ?', [agentId]).changes === 1;
  }

  heartbeat(
    agentId: string,
    heartbeat: Heartbeat | HeartbeatPayload,
    transport: Transport = 'rest',
  ): void {
    this.#database.run(
      `UPDATE agents SET last_heartbeat = ?, last_heartbeat_at = ?, transport = ?,
         heartbeats = heartbeats + 1 WHERE id = ?`,
      [JSON.stringify(heartbeat), new Date().toISOString(), transport, agentId],
    );
    this.saw(agentId);
    if (heartbeat.status === 'disconnected') {
      this.#left(agentId);
    } else {
      this.#isBack(agentId);
    }
  }

  status(agentId: string, status: ClusterStatus): void {
    this.#database.run('UPDATE agents SET last_status = ? WHERE id = ?', [
      JSON.stringify(status),
      agentId,
    ]);
  }

  statusGap(agentId: string): void {
    this.#database.run('UPDATE agents SET status_gaps = status_gaps + 1 WHERE id = ?', [agentId]);
  }

  problem(agentId: string, text: string): void {
    this.#note('problems', agentId, text);
  }

  fallback(agentId: string, messageType: string): void {
    this.#note('fallbacks', agentId, messageType);
  }

  /** Of connections whose agent is not known: of the agent id ''. */
  problems(agentId: string): readonly string[] {
    return this.#notes('problems', agentId);
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

  agentOfCluster(clusterUuid: string): AgentRecord | undefined {
    const row = this.#database
      .query<AgentRow, [string]>('SELECT * FROM agents WHERE ?1 IN (cluster_uuid, cluster_id)')
      .get(clusterUuid);
    return row === null ? undefined : this.#agentRecord(row);
  }

  #agentRow(agentId: string): AgentRow | null {
    return this.#database
      .query<AgentRow, [string]>('SELECT * FROM agents WHERE id = ?')
      .get(agentId);
  }

  #note(table: 'problems' | 'fallbacks', agentId: string, text: string): void {
    this.#database.run(`INSERT INTO ${table} (agent_id, text) VALUES (?, ?)`, [agentId, text]);
    this.#database.run(
      `DELETE FROM ${table} WHERE agent_id = ?1 AND number <= (
         SELECT max(number) FROM ${table} WHERE agent_id = ?1) - ?2`,
      [agentId, NOTES_MAX],
    );
  }

  #notes(table: 'problems' | 'fallbacks', agentId: string): readonly string[] {
    return this.#database
      .query<{ text: string }, [string]>(
        `SELECT text FROM ${table} WHERE agent_id = ? ORDER BY number`,
      )
      .all(agentId)
      .map(({ text }) => text);
  }

  #leftAt(agentId: string): string | null {
    return (
      this.#database
        .query<{ left_at: string }, [string]>('SELECT left_at FROM departures WHERE agent_id = ?')
        .get(agentId)?.left_at ?? null
    );
  }

  #agentRecord(row: AgentRow): AgentRecord {
    return {
      ...row,
      left_at: this.#leftAt(row.id),
      seen_at: this.#seenAt.get(row.id) ?? row.last_heartbeat_at,
      registration: JSON.parse(row.registration),
      last_heartbeat: row.last_heartbeat === null ? null : JSON.parse(row.last_heartbeat),
      last_status: row.last_status === null ? null : JSON.parse(row.last_status),
      protocol_errors: this.#notes('problems', row.id),
      fallbacks: this.#notes('fallbacks', row.id),
    };
  }
}
