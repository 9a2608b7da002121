/** Follows a systemd unit from a given moment on. What it said before that explains nothing now. */
import type { Exec } from '../../core/ports.ts';
import { unitProperties } from './systemctl.ts';

/** After so many restarts in a row the next one will not succeed either. */
const RESTARTS_MAX = 5;
/** Lines of the journal in which a reason is looked for. */
const LINES_MAX = 300;
const QUERY_TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
}

export interface UnitReport {
  /** `active`, `activating`, `failed`, … */
  readonly state: string;
  /** Why it ended last: `exit-code`, `oom-kill`, `watchdog`, … (systemd.service(5)). */
  readonly result: string;
  /** How often systemd has restarted it since `begin`. */
  readonly restarts: number;
  /** What its own processes have logged since `begin`, oldest first. */
  readonly lines: readonly string[];
}

export interface UnitWatch {
  /** Only what happens from now on counts. */
  begin(): Promise<void>;
  /** Begins by itself if nobody has called `begin`. */
  look(): Promise<UnitReport>;
}

export function unitWatch(deps: Deps, unit: string): UnitWatch {
  let since: { readonly cursor: string | undefined } | undefined;
  let lastCount = 0;
  let restarts = 0;
  /** After a start by hand systemd's counter begins again at 0. */
  const count = (now: number) => {
    restarts += now >= lastCount ? now - lastCount : now;
    lastCount = now;
  };
  const begin = async () => {
    since = { cursor: await journalEnd(deps, unit) };
    lastCount = Number((await unitProperties(deps, unit, ['NRestarts']))['NRestarts'] ?? 0);
    restarts = 0;
  };
  return {
    begin,
    look: async () => {
      if (since === undefined) {
        await begin();
      }
      const found = await unitProperties(deps, unit, ['ActiveState', 'Result', 'NRestarts']);
      count(Number(found['NRestarts'] ?? 0));
      return {
        state: found['ActiveState'] ?? '',
        result: found['Result'] ?? '',
        restarts,
        lines: await linesSince(deps, unit, since?.cursor),
      };
    },
  };
}

/** Whether there is no use in waiting: systemd has given the unit up, or it ends again and again. */
export function hasFailed({ state, restarts }: UnitReport): boolean {
  return state === 'failed' || restarts >= RESTARTS_MAX;
}

/**
 * The end of the unit's lines in the journal; undefined while there are none. It must be a cursor of this
 * unit: with one of another unit's line journalctl would skip this unit's first line.
 */
async function journalEnd(deps: Deps, unit: string): Promise<string | undefined> {
  const text = await journalctl(deps, ['--lines=1', '--show-cursor', `_SYSTEMD_UNIT=${unit}`]);
  return /^-- cursor: (.+)$/m.exec(text)?.[1];
}

/** Only the lines of the unit's own processes: systemd's lines about the unit explain nothing. */
async function linesSince(
  deps: Deps,
  unit: string,
  cursor: string | undefined,
): Promise<readonly string[]> {
  const after = cursor === undefined ? [] : [`--after-cursor=${cursor}`];
  const text = await journalctl(deps, [...after, `--lines=${LINES_MAX}`, `_SYSTEMD_UNIT=${unit}`]);
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('-- '));
}

async function journalctl(deps: Deps, args: readonly string[]): Promise<string> {
  const argv = ['journalctl', '--no-pager', '--quiet', '--output=cat', ...args] as const;
  return (await deps.exec.run(argv, { timeoutMs: QUERY_TIMEOUT_MS })).stdout;
}
