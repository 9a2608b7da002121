import type { UpstreamAddress } from '../../src/http1/client/address.ts';
import { upstreamPool } from '../../src/http1/client/pool.ts';
import type { Destination } from '../../src/proxy/destination.ts';
import type { ForwardDeps, MeasureRequest } from '../../src/proxy/forward.ts';
import { fairTurns } from '../../src/proxy/turns.ts';
import { manualClock } from './manual-clock.ts';

export const NOT_MEASURED: MeasureRequest = () => () => undefined;

export interface TestProxy extends Disposable {
  readonly deps: ForwardDeps;
  /** How often the destination heard of a 401. */
  unauthorized(): number;
}

/** Everything that forward() needs, on real connections to one upstream; all is allowed. */
export function testProxy(address: UpstreamAddress, changes: Partial<Destination> = {}): TestProxy {
  const clock = manualClock();
  const pool = upstreamPool({ clock });
  let unauthorized = 0;
  const destination: Destination = {
    allow: () => ({ allowed: true }),
    locate: async () => ({ address, host: 'kubernetes.test', token: 'agents-token' }),
    unauthorized: () => {
      unauthorized += 1;
    },
    ...changes,
  };
  return {
    deps: { pool, turns: fairTurns({ clock }), measure: NOT_MEASURED, destination },
    unauthorized: () => unauthorized,
    [Symbol.dispose]: () => pool.close(),
  };
}
