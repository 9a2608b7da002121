import type { Clock } from '../../core/ports.ts';

/** Before this no clock was ever right that talks to us: some programs write the year 1 for "never". */
const EARLIEST_TIME_MS = Date.UTC(2020);

/** The clock of the control plane beside that of this machine, by what its messages say. */
export interface PeerTime {
  /** Ahead of the control plane's clock, ms; negative: behind. Undefined while nobody has told the time. */
  clockSkewMs(): number | undefined;
  /** The control plane has told what time it has, as text of a message; what is no time is ignored. */
  toldTime(timestamp: string): void;
}

export function peerTime(clock: Clock): PeerTime & { readonly forget: () => void } {
  let skewMs: number | undefined;
  return {
    clockSkewMs: () => skewMs,
    toldTime: (timestamp) => {
      const theirs = Date.parse(timestamp);
      skewMs = theirs > EARLIEST_TIME_MS ? clock.now().getTime() - theirs : skewMs;
    },
    forget: () => {
      skewMs = undefined;
    },
  };
}
