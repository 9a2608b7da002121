import type { Clock, LogLevel } from './ports.ts';

/** The gravest first. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const satisfies readonly LogLevel[];

/** 0 for `error`; the higher, the less grave. */
export function rankOfLevel(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level);
}

/** How much is logged, which a person may change for a while. */
export interface LiveLogLevel {
  current(): LogLevel;
  /** What it is set to in the configuration. */
  readonly configured: LogLevel;
  /** When the configured one is in force again; undefined while it is. */
  until(): Date | undefined;
  change(level: LogLevel, forMs: number): void;
}

/** It goes back by itself: nobody has to remember that a machine logs everything. */
export function liveLogLevel(
  { clock }: { readonly clock: Clock },
  configured: LogLevel,
): LiveLogLevel {
  let changed:
    | { readonly level: LogLevel; readonly endsAt: number; readonly until: Date }
    | undefined;
  const inForce = () => {
    if (changed !== undefined && clock.monotonic() >= changed.endsAt) {
      changed = undefined;
    }
    return changed;
  };
  return {
    configured,
    current: () => inForce()?.level ?? configured,
    until: () => inForce()?.until,
    change: (level, forMs) => {
      changed =
        level === configured
          ? undefined
          : {
              level,
              endsAt: clock.monotonic() + forMs,
              until: new Date(clock.now().getTime() + forMs),
            };
    },
  };
}
