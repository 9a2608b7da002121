import { AgentError } from '../../core/errors.ts';
import { container } from './container.ts';
import type { Fact, FactDeps } from './fact.ts';

const TOOL_TIMEOUT_MS = 2_000;

export interface TimeSync {
  /** The kernel counts its clock as kept by somebody (adjtimex(2)), whoever does it. */
  readonly isSynchronized: boolean;
  /** A service that systemd knows is switched on for it. */
  readonly isOn: boolean;
}

/** Whether anything keeps the clock right; undefined in a container, whose clock is its host's. */
export const timeSync: Fact<TimeSync | undefined> = {
  id: 'time-sync',
  read: async (deps, facts) => {
    if ((await facts(container)) !== undefined) {
      return undefined;
    }
    return await readTimeSync(deps);
  },
};

/** @throws AgentError TOOL_MISSING, TOOL_FAILED, TIMEOUT */
export async function readTimeSync({
  exec,
  signal,
}: Pick<FactDeps, 'exec' | 'signal'>): Promise<TimeSync> {
  const argv = ['timedatectl', 'show', '--property=NTP', '--property=NTPSynchronized'] as const;
  const { exitCode, stdout } = await exec.run([...argv], { timeoutMs: TOOL_TIMEOUT_MS, signal });
  if (exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', 'timedatectl does not say whether the clock is kept', {
      hint: 'Try it: timedatectl',
    });
  }
  return {
    isSynchronized: stdout.includes('NTPSynchronized=yes'),
    isOn: /^NTP=yes$/m.test(stdout),
  };
}
