import { AgentError } from '../../core/errors.ts';
import type { CliContext } from './context.ts';

/** One subcommand that changes the machine at a time. @throws AgentError BUSY */
export async function runLocked<T>(
  context: CliContext,
  name: string,
  run: () => Promise<T>,
): Promise<T> {
  const lock = context.lock(context.places.lockFile, `${name} (pid ${process.pid})`);
  if ('heldBy' in lock) {
    throw new AgentError('BUSY', `Cannot run "${name}" now: ${lock.heldBy} is running`, {
      hint: 'Wait until it has ended, then run the same command again',
    });
  }
  try {
    await refuseWhileVersionChanges(context);
    await refuseWhileK3sChanges(context, name);
    return await run();
  } finally {
    lock.release();
  }
}

/** The change of the version goes on in a unit of its own, which holds no lock. */
async function refuseWhileVersionChanges(context: CliContext): Promise<void> {
  if ((await context.files.stat(context.places.upgradeFile)) !== undefined) {
    const { refuseSecondChange } = await import('../../machine/upgrade/change.ts');
    await refuseSecondChange(context);
  }
}

/** So does an upgrade of k3s, which `upgrade k3s` follows. */
async function refuseWhileK3sChanges(context: CliContext, name: string): Promise<void> {
  const isUnderWay = (await context.files.stat(context.places.k3sUpgradeFile)) !== undefined;
  if (isUnderWay && name !== 'upgrade k3s') {
    const { refuseDuringK3sUpgrade } = await import('../../machine/k3s-upgrade/begin.ts');
    await refuseDuringK3sUpgrade(context);
  }
}

/** What is said to somebody else. @param locks whether it changes the machine */
export function needsRoot(name: string, locks: boolean): AgentError {
  const text = locks
    ? `"${name}" changes this machine and needs root`
    : `"${name}" needs root: it uses what only root may read`;
  return new AgentError('NOT_ROOT', text, {
    hint: `Run it with sudo: sudo pipeops-agent ${name}`,
  });
}
