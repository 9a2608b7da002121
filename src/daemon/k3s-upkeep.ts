import { type AgentError, type ErrorCode, expectedError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import type { CertificateEnd, MachineFinding } from '../health/facts.ts';
import type { AskHelper } from '../host/agent/ask-helper.ts';
import type { RestartTurn } from '../kubernetes/lease/restart-turn.ts';
import type { K3sUpkeep, RestartReason } from '../protocol/host-facts.ts';

/** The check that has found the same. */
const CHECKS: Readonly<Record<RestartReason, string>> = {
  certificates: 'k3s-certificates',
  address: 'changed-address',
};
const TEXTS: Readonly<Record<RestartReason, string>> = {
  certificates: 'k3s should be restarted, because certificates of it end soon',
  address: 'k3s should be restarted, because the address of its node has changed',
};

/** By these the helper says that it has not begun: another server may go on. */
const NOT_BEGUN: readonly ErrorCode[] = [
  'POLICY_DENIED',
  'APPROVAL_NEEDED',
  'OUTSIDE_WINDOW',
  'BUSY',
];

export interface UpkeepOfK3s {
  /** Does what it needs, as of a look at the machine. @returns whether k3s was restarted. @throws only what is a bug */
  readonly after: (k3s: K3sUpkeep | undefined, signal: AbortSignal) => Promise<boolean>;
  /** Why it could not be done. */
  readonly findings: () => readonly MachineFinding[];
  /** Of the authority of the cluster; empty until it is known. */
  readonly authority: () => readonly CertificateEnd[];
}

/**
 * Has root's helper restart k3s where that mends something. Of several servers one at a time does so.
 * @param deps.turn undefined on a worker: any number of them may restart theirs, because pods run on
 */
export function upkeepOfK3s(deps: {
  readonly log: Log;
  readonly askHelper: AskHelper;
  readonly turn: RestartTurn | undefined;
}): UpkeepOfK3s {
  const { log, askHelper, turn } = deps;
  let found: readonly MachineFinding[] = [];
  let authority: readonly CertificateEnd[] = [];
  const restart = async (signal: AbortSignal) => {
    const answer = await askHelper({ verb: 'restart_k3s' }, { signal });
    const { RestartedK3s } = await import('../protocol/host-facts.ts');
    log.info('k3s was restarted', { reason: RestartedK3s.parse(answer).restarted });
  };
  /** @returns why not, for now */
  const restartInTurn = async (reason: RestartReason, signal: AbortSignal) => {
    // Servers whose address may change are alone: they keep their data in SQLite.
    if (turn === undefined || reason === 'address') {
      return await restart(signal);
    }
    return await turn.run(() => restart(signal), signal);
  };
  return {
    after: async (k3s, signal) => {
      if (k3s === undefined) {
        return false;
      }
      authority =
        k3s.authority_ends === null
          ? []
          : [{ of: 'cluster authority', endsAt: new Date(k3s.authority_ends) }];
      found = [];
      try {
        if (k3s.restart === null) {
          await turn?.giveBack(signal);
          return false;
        }
        const obstacle = await restartInTurn(k3s.restart, signal);
        if (obstacle !== undefined) {
          log.info('k3s is restarted later', { reason: k3s.restart, because: obstacle });
        }
        return obstacle === undefined;
      } catch (thrown) {
        const error = expectedError(thrown);
        if (k3s.restart !== null && !signal.aborted) {
          const canWait = error.code === 'OUTSIDE_WINDOW' && k3s.restart === 'certificates';
          found = canWait ? [] : [findingOf(k3s.restart, error)];
          if (NOT_BEGUN.includes(error.code)) {
            await turn?.giveBack(signal).catch(expectedError);
          }
          log.warn('k3s was not restarted', { error_code: error.code, error: error.message });
        }
        return false;
      }
    },
    findings: () => found,
    authority: () => authority,
  };
}

function findingOf(
  reason: RestartReason,
  { code, message, hint = '' }: AgentError,
): MachineFinding {
  return { check: CHECKS[reason], code, message: `${TEXTS[reason]}: ${message}`, advice: hint };
}
