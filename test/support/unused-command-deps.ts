import type { CommandDeps } from '../../src/commands/engine/handler.ts';
import { kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { ALLOWED } from '../../src/policy/decision.ts';

const unused = () => {
  throw new Error('not used in this test');
};

/** What handlers may use, for tests whose handlers use nothing of it; everything is allowed. */
export function unusedCommandDeps(): Omit<CommandDeps, 'clock'> {
  return {
    kubernetes: kubernetesClient({
      clock: systemClock,
      http: unused,
      credentials: { current: unused, reload: unused },
    }),
    openChannels: unused,
    askHelper: unused,
    releases: { find: unused },
    newestK3s: unused,
    ownToken: { inUse: unused, settled: unused, begin: unused, goBack: unused },
    node: 'node-1',
    clusterStatus: unused,
    workElsewhere: unused,
    policy: {
      command: () => ALLOWED,
      isAsked: () => false,
      windowsAhead: () => undefined,
      access: () => ALLOWED,
      object: () => ALLOWED,
      request: () => ALLOWED,
    },
  };
}
