/**
 * A part of the daemon with a lifetime. `start` resolves when the part is usable; `done` settles
 * when it has fully stopped after the signal aborted. A `done` that rejects means the unexpected:
 * the whole daemon stops and systemd restarts it. Expected trouble (network) never rejects.
 */
export interface Service {
  readonly name: string;
  /** How long it may take to stop, ms, where that is longer than usual. */
  readonly stopGraceMs?: number;
  start(signal: AbortSignal): Promise<RunningService>;
}

export interface RunningService {
  readonly done: Promise<void>;
}
