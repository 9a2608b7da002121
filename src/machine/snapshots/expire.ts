import { type Config, durationMs } from '../../config/schema.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { ownSnapshots } from './own.ts';
import { deleteSnapshot, expired, type Retention } from './shelf.ts';

/** What root wants to keep. */
export function retentionOf({ snapshots }: Pick<Config, 'snapshots'>): Retention {
  return { keep: snapshots.keep, keepForMs: durationMs(snapshots.keep_for) };
}

/**
 * Deletes what is older or more than root wants to keep.
 * @returns the names of what has gone
 * @throws AgentError CONFIG_INVALID, FILE_ACCESS
 */
export async function removeExpired(context: MachineContext): Promise<readonly string[]> {
  const { config } = await loadEffectiveConfig(context, {});
  const here = await ownSnapshots(context);
  const gone = expired(here, retentionOf(config), context.clock.now());
  for (const { name } of gone) {
    await deleteSnapshot(context, name);
  }
  return gone.map(({ name }) => name);
}
