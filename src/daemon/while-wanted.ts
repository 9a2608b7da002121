import type { SessionState } from '../control-plane/session/state.ts';
import { bell } from '../core/bell.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { childSignal } from '../core/waiting.ts';
import type { LiveAccess } from './control-plane-access.ts';
import { supervise } from './supervise.ts';

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly access: Pick<LiveAccess, 'current' | 'onChange'>;
  readonly state: SessionState;
}

/**
 * Runs services while there is a control-plane token. Without one the machine is standalone. A
 * token that is added or removed later needs no restart.
 */
export function whileWanted(deps: Deps, services: readonly Service[]): Service {
  return {
    name: 'control-plane',
    start: async (signal) => ({ done: run(deps, services, signal) }),
  };
}

async function run(deps: Deps, services: readonly Service[], signal: AbortSignal): Promise<void> {
  const { access, state } = deps;
  const changed = bell();
  const stopListening = access.onChange(changed.ring);
  try {
    while (!signal.aborted) {
      if (access.current().token === undefined) {
        state.standalone();
        await changed.wait(signal);
      } else {
        state.restarted();
        await runUntilUnwanted(deps, services, signal);
      }
    }
  } finally {
    stopListening();
  }
}

async function runUntilUnwanted(
  { clock, log, access, state }: Deps,
  services: readonly Service[],
  signal: AbortSignal,
): Promise<void> {
  const life = childSignal(signal);
  const stopListening = access.onChange(() => {
    if (access.current().token === undefined) {
      life.end();
      state.standalone();
    }
  });
  try {
    await supervise({ clock, log }, services, () => undefined, life.signal);
  } finally {
    stopListening();
    life.end();
  }
}
