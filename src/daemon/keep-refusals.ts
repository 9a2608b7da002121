import type { Bell } from '../core/bell.ts';
import { toAgentError } from '../core/errors.ts';
import { limitedLog } from '../core/limited-log.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Refusals } from '../policy/refusals.ts';
import type { KeptRefusals } from '../store/refusals.ts';
import { isPassing } from '../store/trouble.ts';

/** Between two writes, however often something is refused. */
export const KEEP_REFUSALS_EVERY_MS = 30_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly refused: Pick<Refusals, 'rows'>;
  /** Rings at each refusal. */
  readonly refusing: Bell;
  readonly kept: Pick<KeptRefusals, 'write'>;
}

/** Has a refusal on the disk at once, those that follow within half a minute, and the last ones at the stop. */
export function keepRefusals(deps: Deps): Service {
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  let [written] = deps.refused.rows();
  const keep = () => {
    const rows = deps.refused.rows();
    if (rows[0] === written) {
      return;
    }
    try {
      deps.kept.write(rows);
      [written] = rows;
    } catch (thrown) {
      const { code, message } = toAgentError(thrown);
      if (!isPassing(toAgentError(thrown))) {
        throw thrown;
      }
      deps.refusing.ring();
      complain('what was refused cannot be kept now', { error_code: code, error: message });
    }
  };
  const run = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await deps.refusing.wait(signal);
      keep();
      await deps.clock.sleep(KEEP_REFUSALS_EVERY_MS, signal);
    }
    keep();
  };
  return { name: 'keep-refusals', start: async (signal) => ({ done: run(signal) }) };
}
