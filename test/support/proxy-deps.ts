import { admission } from '../../src/proxy/admission.ts';
import type { ForwardDeps } from '../../src/proxy/forward.ts';
import type { UpstreamAddress } from '../../src/proxy/upstream-connection.ts';
import { upstreamPool } from '../../src/proxy/upstream-pool.ts';
import { manualClock } from './manual-clock.ts';
import { memoryLog } from './memory-log.ts';

export interface TestProxy extends Disposable {
  readonly deps: ForwardDeps;
  /** How often the credentials were asked to be read again. */
  reloads(): number;
}

/** Everything that forward() needs, on real connections to one upstream; the policy allows all. */
export function testProxy(address: UpstreamAddress, changes: Partial<ForwardDeps> = {}): TestProxy {
  const clock = manualClock();
  const pool = upstreamPool({ clock });
  let reloads = 0;
  return {
    deps: {
      ...{ clock, log: memoryLog(), pool, admission: admission({ clock }) },
      policy: () => ({ allowed: true }),
      credentials: async () => ({ address, host: 'kubernetes.test', token: 'agents-token' }),
      reloadCredentials: () => {
        reloads += 1;
      },
      ...changes,
    },
    reloads: () => reloads,
    [Symbol.dispose]: () => pool.close(),
  };
}
