import type { Database } from 'bun:sqlite';
import type { Random } from '../core/ports.ts';

/** Bytes of randomness in an agent id. */
const ID_BYTES = 16;

/**
 * The name of this agent at the control plane: the configured one, or one made at the first start
 * and kept since, so that a restart is not a new agent.
 */
export function agentIdentity(
  deps: { readonly database: Database; readonly random: Random },
  configuredId: string,
): string {
  if (configuredId !== '') {
    return configuredId;
  }
  const made = `agent-${Buffer.from(deps.random.bytes(ID_BYTES)).toString('hex')}`;
  deps.database.run("INSERT OR IGNORE INTO identity (name, value) VALUES ('agent_id', ?)", [made]);
  const row = deps.database
    .query<{ value: string }, []>("SELECT value FROM identity WHERE name = 'agent_id'")
    .get();
  return row?.value ?? made;
}
