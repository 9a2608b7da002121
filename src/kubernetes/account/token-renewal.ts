import { backoffMs } from '../../core/backoff.ts';
import { toAgentError } from '../../core/errors.ts';
import type { Clock, Files, Log, Random } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { tokenTimes } from '../../protocol/files/kubeconfig.ts';
import type { KubernetesClient } from '../api/client.ts';
import type { KubernetesCredentials } from '../api/credentials.ts';
import { requestToken, type TokenAccount } from './token-request.ts';

/** Life of the agent's Kubernetes token, seconds: 30 days. */
export const TOKEN_LIFE_SECONDS = 30 * 24 * 3_600;
/** Waits after a failed renewal; there are 15 days for it. */
const RETRY = { firstMs: 10_000, capMs: 3_600_000 };
/** The clock may jump: whether it is time is asked at least this often. */
const CHECK_INTERVAL_MS = 3_600_000;

interface RenewalDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly log: Log;
  readonly client: KubernetesClient;
  readonly credentials: KubernetesCredentials;
}

export interface RenewalOptions extends TokenAccount {
  /** Where the new token is kept, 0600. */
  readonly tokenPath: string;
}

/** Renews the token of the agent's own ServiceAccount at half its life (TokenRequest API). */
export function tokenRenewal(deps: RenewalDeps, options: RenewalOptions): Service {
  return {
    name: 'kubernetes-token-renewal',
    start: async (signal) => ({ done: renewForEver(deps, options, signal) }),
  };
}

async function renewForEver(
  deps: RenewalDeps,
  options: RenewalOptions,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let waitMs = CHECK_INTERVAL_MS;
    try {
      const { token } = await deps.credentials.current();
      if (isDue(deps.clock, token)) {
        await renewToken(deps, options, signal);
        deps.log.info('renewed the Kubernetes token');
      }
      failures = 0;
    } catch (thrown) {
      const error = toAgentError(thrown);
      deps.credentials.reload();
      waitMs = RETRY.firstMs + backoffMs(deps, RETRY, failures);
      failures += 1;
      if (!signal.aborted) {
        deps.log.warn('cannot renew the Kubernetes token', {
          error_code: error.code,
          error: error.message,
          retry_in_ms: waitMs,
        });
      }
    }
    await deps.clock.sleep(waitMs, signal);
  }
}

/** At half its life, so that a fortnight of trouble costs nothing. */
export function isDue(clock: Clock, token: string): boolean {
  const times = tokenTimes(token);
  if (times === undefined) {
    return true;
  }
  const halfAt = (times.issuedAt + times.expiresAt) / 2;
  return clock.now().getTime() / 1_000 >= halfAt;
}

async function renewToken(
  deps: RenewalDeps,
  options: RenewalOptions,
  signal: AbortSignal,
): Promise<void> {
  const token = await requestToken(deps.client, options, TOKEN_LIFE_SECONDS, signal);
  await deps.files.writeAtomic(options.tokenPath, `${token}\n`, { mode: 0o600 });
  deps.credentials.reload();
}
