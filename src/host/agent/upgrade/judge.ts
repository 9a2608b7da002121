/**
 * Whether a version is well: by the agent's own health alone, never by what runs in the cluster. It starts,
 * stays up, answers as that version, and has its session again if the one before had one. One that is silent although
 * it could work (silence.ts) gets no more of its time.
 */
import { expectedError } from '../../../core/errors.ts';
import { UNIT_NAME } from '../../../core/places.ts';
import type { Clock, Exec } from '../../../core/ports.ts';
import { pollUntil } from '../../../core/waiting.ts';
import type { DetailedHealth } from '../../../protocol/local-api.ts';
import { interrupted } from '../../engine/interrupted.ts';
import { type UnitReport, unitWatch } from '../../engine/unit-watch.ts';
import { startFailure } from '../service.ts';
import type { SilenceWatch } from './silence.ts';

/** Whoever is not well by then is not well. */
const GRACE_MS = 60_000;
/** So long it must stay well. */
const STEADY_MS = 4_000;
const LOOK_INTERVAL_MS = 250;
/** What ends a second time would end again. */
const RESTARTS_MAX = 2;

export interface Judged {
  readonly version: string;
  readonly hadSession: boolean;
  /** It takes the place of one that was not well: if that is silent, it is not waited for. */
  readonly isWayBack: boolean;
}

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  /** What the daemon says. @throws AgentError DAEMON_UNREACHABLE */
  readonly health: () => Promise<DetailedHealth>;
  /** Asked while it does not answer. */
  readonly silence: SilenceWatch;
  /** Whether the control plane answers anybody on this machine. */
  readonly isControlPlaneThere: () => Promise<boolean>;
}

/**
 * Starts the daemon anew, and looks at it.
 * @returns why it is not well; undefined where it is
 * @throws AgentError INTERRUPTED where the machine goes down meanwhile: nothing is known of the version then
 */
export async function judgeAfterRestart(
  deps: Deps,
  { version, hadSession, isWayBack }: Judged,
  signal: AbortSignal,
): Promise<string | undefined> {
  const watch = unitWatch(deps, UNIT_NAME);
  await watch.begin();
  if (isWayBack) {
    await killIfSilent(deps);
  }
  await deps.exec.run(['systemctl', 'restart', '--no-block', UNIT_NAME], { timeoutMs: GRACE_MS });
  await deps.silence(); // From now on.
  let well: { readonly pid: number; readonly since: number } | undefined;
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: GRACE_MS };
  const end = await pollUntil(deps.clock, pace, signal, async () => {
    const health = await deps.health().catch(unanswered);
    const missing = whatIsMissing(health, version, hadSession);
    if (missing !== undefined || health === undefined) {
      well = undefined;
      const report = await watch.look();
      const hangs = health === undefined ? await deps.silence() : undefined;
      return isHopeless(report)
        ? { found: startFailure(report).message }
        : hangs === undefined
          ? { soFar: missing ?? 'it does not answer' }
          : { found: hangs };
    }
    const now = deps.clock.monotonic();
    if (well?.pid !== health.agent.pid) {
      well = { pid: health.agent.pid, since: now };
    }
    return now - well.since >= STEADY_MS
      ? { found: undefined }
      : { soFar: 'it was well too short' };
  });
  // No session while nobody reaches the control plane says nothing of the version.
  const isOutage =
    end.kind !== 'found' && end.soFar === NO_SESSION && !(await deps.isControlPlaneThere());
  if (signal.aborted) {
    throw interrupted(`while it was seen whether ${version} is well`);
  }
  if (end.kind === 'found') {
    return end.found;
  }
  return isOutage ? undefined : `after ${GRACE_MS / 1_000} s ${end.soFar}`;
}

/** systemd would wait for one that hangs as long as for one that ends its work. */
async function killIfSilent({ exec, health }: Pick<Deps, 'exec' | 'health'>): Promise<void> {
  if ((await health().catch(unanswered)) === undefined) {
    // It fails where nothing runs.
    await exec.run(['systemctl', 'kill', '--signal=KILL', UNIT_NAME], { timeoutMs: GRACE_MS });
  }
}

const NO_SESSION = 'it has no session with the control plane, which answers';

function whatIsMissing(
  health: DetailedHealth | undefined,
  version: string,
  hadSession: boolean,
): string | undefined {
  if (health === undefined) {
    return 'it does not answer';
  }
  if (health.agent.version !== version) {
    return `what answers is ${health.agent.version}`;
  }
  return hadSession && health.session.phase !== 'connected' ? NO_SESSION : undefined;
}

function isHopeless({ state, restarts }: UnitReport): boolean {
  return state === 'failed' || restarts >= RESTARTS_MAX;
}

function unanswered(thrown: unknown): undefined {
  expectedError(thrown);
}
