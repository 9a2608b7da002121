import { toAgentError } from '../core/errors.ts';
import type { Check } from '../host/checks/check.ts';
import type { Fact } from '../host/facts/fact.ts';
import type { DetailedHealth } from '../protocol/local-api.ts';

const health: Fact<DetailedHealth> = {
  id: 'agent-health',
  read: async (deps) => {
    // The daemon runs other checks of this list, and would hold what asks it for good.
    const { askDaemon } = await import('./ask-daemon.ts');
    return await askDaemon(deps, 0);
  },
};

export const agentReady: Check = {
  id: 'agent',
  title: 'Agent',
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'The control plane sees and reaches this machine only through a ready agent.',
  remedy:
    'See what it says: `sudo pipeops-agent status`, `journalctl -u pipeops-agent`. ' +
    'Start it: `sudo systemctl restart pipeops-agent`.',
  needs: [],
  run: async (facts) => {
    try {
      const { ready, reasons } = await facts(health);
      return ready
        ? undefined
        : {
            code: 'CHECK_FAILED',
            message: `The agent is not ready: ${reasons.map(({ message }) => message).join('; ')}`,
            hint: reasons[0]?.hint ?? 'See more: sudo pipeops-agent status',
            details: { reasons },
          };
    } catch (thrown) {
      const error = toAgentError(thrown);
      if (error.code === 'NOT_ROOT') {
        return { notChecked: `${error.message}; use sudo` };
      }
      throw thrown;
    }
  },
};
