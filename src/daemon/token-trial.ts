/**
 * Another token of the control plane, on trial: it is used at once, and the one before stays beside it until the
 * control plane has let the agent in with the new one. Where it refuses, the one before is used again. Whatever ends
 * the daemon meanwhile, one of the two is in its file, and the next start goes on with the trial.
 */
import type { OwnToken } from '../commands/engine/handler.ts';
import type { SessionState } from '../control-plane/session/state.ts';
import { bell } from '../core/bell.ts';
import { expectedError } from '../core/errors.ts';
import { limitedLog } from '../core/limited-log.ts';
import type { Clock, Files, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import {
  readTokenTrial,
  TOKEN_TRIAL_LIMIT_BYTES,
  type TokenTrialFile,
} from '../protocol/files/token-trial.ts';
import type { LiveAccess } from './control-plane-access.ts';
import type { DaemonPaths } from './paths.ts';

/** Between two looks at the session while a token is tried. */
const LOOK_INTERVAL_MS = 500;
/** A session that was up at so many looks in a row has let the new token in. */
const LOOKS_UP = 2;
const SECRET_MODE = 0o600;
export interface TokenTrial extends OwnToken, Service {
  /** Calls back when a trial has ended. @returns how to stop the calls */
  onSettled(listener: () => void): () => void;
  /** Uses one that is settled elsewhere; '': none. @throws AgentError FILE_ACCESS, DISK_FULL */
  take(token: string): Promise<void>;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Log;
  readonly access: Pick<LiveAccess, 'current' | 'reload'>;
  readonly state: Pick<SessionState, 'snapshot' | 'restarted'>;
}

/** @throws AgentError FILE_ACCESS */
export async function tokenTrial(
  deps: Deps,
  paths: Pick<DaemonPaths, 'controlPlaneToken' | 'tokenTrial'>,
): Promise<TokenTrial> {
  const { files, log, access, state } = deps;
  const { controlPlaneToken: tokenPath, tokenTrial: path } = paths;
  let trial = readTokenTrial(await files.readText(path, TOKEN_TRIAL_LIMIT_BYTES));
  const listeners = new Set<() => void>();
  const begun = bell();
  let last: Promise<unknown> = Promise.resolve();
  /** One change at a time. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined); // Whoever asked for it hears of it.
    return turn;
  };
  const inUse = () => access.current().token ?? '';
  const open = () => (trial?.tried_sha256 === hashOf(inUse()) ? trial : undefined);
  const settled = () => open()?.before ?? inUse();
  const use = async (token: string) => {
    await (token === ''
      ? files.remove(tokenPath)
      : files.writeAtomic(tokenPath, `${token}\n`, { mode: SECRET_MODE }));
    await access.reload();
  };
  const end = async () => {
    await files.remove(path);
    trial = undefined;
    for (const listener of [...listeners]) {
      listener();
    }
  };
  let looksUp = 0;
  const look = async () => {
    const before = open()?.before;
    const { phase } = state.snapshot();
    looksUp = before !== undefined && phase === 'connected' ? looksUp + 1 : 0;
    if (before === undefined) {
      await end(); // Somebody has given another one meanwhile.
    } else if (looksUp >= LOOKS_UP) {
      log.info('the control plane takes the new token; the one before is forgotten');
      await end();
    } else if (phase === 'refused') {
      log.warn('the control plane refuses the new token; the one before is used again');
      await use(before);
      await end();
    }
  };
  return {
    name: 'token-trial',
    onSettled: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    inUse,
    settled,
    begin: (token) =>
      inTurn(async () => {
        if (token === inUse()) {
          return;
        }
        const next: TokenTrialFile = { v: 1, before: settled(), tried_sha256: hashOf(token) };
        await files.writeAtomic(path, `${JSON.stringify(next)}\n`, { mode: SECRET_MODE });
        trial = next;
        looksUp = 0;
        begun.ring();
        await use(token);
        state.restarted(); // What is known of the session is of the token before.
      }),
    goBack: () =>
      inTurn(async () => {
        const before = open()?.before;
        if (before !== undefined) {
          await use(before);
          await end();
        }
      }),
    take: (token) =>
      inTurn(async () => {
        await use(token);
        await end();
      }),
    start: async (signal) => {
      // Hardly any daemon ever tries one.
      const whenOpen = async () => {
        while (trial === undefined && !signal.aborted) {
          await begun.wait(signal);
        }
      };
      return { done: lookOften(deps, whenOpen, () => inTurn(look), signal) };
    },
  };
}

/** What fails now is tried again at the next look: both tokens are still there. */
async function lookOften(
  { clock, log }: Pick<Deps, 'clock' | 'log'>,
  whenOpen: () => Promise<void>,
  look: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const complain = limitedLog(clock, (message, fields) => log.error(message, fields));
  await whenOpen();
  while (await clock.sleep(LOOK_INTERVAL_MS, signal)) {
    try {
      await look();
    } catch (thrown) {
      const { code, message } = expectedError(thrown);
      complain('the trial of a token cannot go on', { error_code: code, error: message });
    }
    await whenOpen();
  }
}

function hashOf(token: string): string {
  return new Bun.CryptoHasher('sha256').update(token).digest('hex');
}
