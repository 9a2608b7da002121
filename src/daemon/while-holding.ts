import type { SessionState } from '../control-plane/session/state.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Election } from '../kubernetes/lease/election.ts';
import { supervise } from './supervise.ts';

/** The session ends gently, then running commands end, then the Lease is given back. */
const STOP_GRACE_MS = 20_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: Pick<SessionState, 'standby'>;
  readonly election: Election;
}

/**
 * Runs services on the one server that holds the Lease of the session. They start in order, so what has
 * to be known before a command may run stands first: the next one waits for its `start`. All have
 * stopped before the Lease is given back.
 * @param services made anew each time: the name of the agent may have become another one
 */
export function whileHolding(deps: Deps, services: () => readonly Service[]): Service {
  const { clock, log, state, election } = deps;
  const work = async (held: AbortSignal) => {
    try {
      await supervise({ clock, log }, services(), () => undefined, held);
    } finally {
      state.standby();
    }
  };
  return {
    name: 'session-lease',
    stopGraceMs: STOP_GRACE_MS,
    start: async (signal) => ({ done: election.run(work, signal) }),
  };
}
