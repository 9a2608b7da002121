import type { Database } from 'bun:sqlite';
import type { Clock, Random } from '../core/ports.ts';
import { CopiedFrom, MachineMark } from '../protocol/files/machine-mark.ts';

/** Bytes of randomness in an agent id. */
const ID_BYTES = 16;

export interface AgentIdentity {
  /** The name of this agent at the control plane. */
  id(): string;
  /** Takes the name that the other servers of the cluster have, unless one is configured here. */
  become(id: string): void;
  /** The agent on the machine that this one is a copy of, and since when; null for most. */
  readonly cloneOf: { readonly id: string; readonly at: string } | null;
}

interface Deps {
  readonly database: Database;
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * The name of this agent: the configured one, or one made at the first start and kept since, so that a
 * restart is not a new agent. On a copy of the machine it is another one, made there: two agents of one name
 * would take turns at the control plane. Commands and session of the other are forgotten there; that one has
 * them.
 */
export function agentIdentity(deps: Deps, configuredId: string, mark: MachineMark): AgentIdentity {
  const { database } = deps;
  return database.transaction((): AgentIdentity => {
    const before = MachineMark.safeParse(parsed(read(database, 'machine_mark'))).data;
    if (before !== undefined && isOtherMachine(before, mark)) {
      becomeAnother(deps, configuredId);
    }
    // What is not known this time stays as it was.
    write(database, 'machine_mark', JSON.stringify(merged(before, mark)));
    const made = read(database, 'agent_id') ?? makeId(deps);
    const clone = CopiedFrom.safeParse(parsed(read(database, 'clone'))).data;
    // The configuration was copied, too. Whoever writes another id into it since means this machine.
    const isCopied = clone !== undefined && clone.configured === configuredId;
    const isMade = configuredId === '' || isCopied;
    let id = isMade ? made : configuredId;
    return {
      id: () => id,
      become: (next) => {
        if (isMade && next !== id) {
          write(database, 'agent_id', next);
          id = next;
        }
      },
      cloneOf: clone === undefined ? null : { id: clone.of, at: clone.at },
    };
  })();
}

function isOtherMachine(before: MachineMark, now: MachineMark): boolean {
  const differs = (a: string | null, b: string | null) => a !== null && b !== null && a !== b;
  return (
    differs(before.boot, now.boot) &&
    (differs(before.hardware, now.hardware) || differs(before.machine, now.machine))
  );
}

function becomeAnother(deps: Deps, configured: string): void {
  const { database, clock } = deps;
  const clone = CopiedFrom.safeParse(parsed(read(database, 'clone'))).data;
  const made = read(database, 'agent_id') ?? '';
  const of = configured === '' || clone?.configured === configured ? made : configured;
  write(database, 'agent_id', newId(deps));
  write(database, 'clone', JSON.stringify({ of, configured, at: clock.now().toISOString() }));
  for (const table of ['commands', 'command_texts', 'early_cancels', 'session_memory']) {
    database.run(`DELETE FROM ${table}`);
  }
  database.run("DELETE FROM identity WHERE name = 'refusals'");
}

function merged(before: MachineMark | undefined, now: MachineMark): MachineMark {
  return {
    machine: now.machine ?? before?.machine ?? null,
    hardware: now.hardware ?? before?.hardware ?? null,
    boot: now.boot ?? before?.boot ?? null,
  };
}

function makeId(deps: Deps): string {
  const id = newId(deps);
  write(deps.database, 'agent_id', id);
  return id;
}

function newId({ random }: Deps): string {
  return `agent-${Buffer.from(random.bytes(ID_BYTES)).toString('hex')}`;
}

function read(database: Database, name: string): string | undefined {
  return (
    database
      .query<{ value: string }, [string]>('SELECT value FROM identity WHERE name = ?')
      .get(name)?.value ?? undefined
  );
}

function write(database: Database, name: string, value: string): void {
  database.run('INSERT OR REPLACE INTO identity (name, value) VALUES (?, ?)', [name, value]);
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // A newer version may have another form: then nobody is taken for a clone.
  }
}
