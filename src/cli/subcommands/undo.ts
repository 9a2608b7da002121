/**
 * `install --undo` and `join --undo`: put a machine back as it was before a failed installation.
 */
import { AgentError } from '../../core/errors.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { checkUndo, UNDO } from '../../machine/uninstall.ts';
import type { CliContext } from '../definition/context.ts';
import { type RemovalFlags, removeAll } from './removal.ts';

/** The flags that count beside it. Whoever gives another one wants something else. */
const FLAGS: readonly string[] = ['undo', 'yes', 'dry-run', 'json'];
const HINT = 'Beside --undo, only --yes, --dry-run and --json count';

/**
 * @param flags as they were given: absent ones have no value
 * @returns the exit code
 * @throws AgentError USAGE
 */
export async function runUndo(
  context: CliContext,
  flags: RemovalFlags & { readonly undo: boolean },
): Promise<number> {
  checkFlags(flags);
  const inventory = await openInventory(context);
  await checkUndo(context, inventory, { dryRun: flags['dry-run'] });
  return removeAll(context, inventory, UNDO, flags);
}

function checkFlags(flags: RemovalFlags & { readonly undo: boolean }): void {
  if (!flags.undo) {
    const partners = 'adopt' in flags ? '--undo or --adopt' : '--undo';
    throw new AgentError('USAGE', `--yes goes only with ${partners}`, {
      hint: 'Leave it out: an installation does not ask whether to go on',
    });
  }
  const others = Object.entries(flags).flatMap(([name, value]) =>
    FLAGS.includes(name) || (name === 'adopt' && value === false) ? [] : [name],
  );
  if (others.length > 0) {
    const named = others.map((name) => `--${name}`).toSorted();
    const text = `--undo takes back all that was begun: it does not go with ${named.join(' and ')}`;
    throw new AgentError('USAGE', text, { hint: HINT });
  }
}
