import { bell } from '../../core/bell.ts';
import type { Clock } from '../../core/ports.ts';
import type { CommandProgressPayload } from '../../protocol/session/messages.ts';

/** Least time between two deliveries: a rollout of a thousand replicas must not cause a flood. */
export const PROGRESS_INTERVAL_MS = 500;
const MESSAGE_LENGTH_MAX = 1_000;
/** Larger facts than this are left out, bytes of JSON. */
const DATA_BYTES_MAX = 16 * 1024;

/**
 * Progress of running commands. Only the newest message of each command is kept until it is taken,
 * so its size is bounded by the number of running commands.
 */
export interface CommandProgress {
  report(
    news: Pick<CommandProgressPayload, 'id' | 'sequence' | 'attempt' | 'message' | 'data'>,
  ): void;
  /** The command has ended: its result says more. */
  forget(commandId: string): void;
  /** The newest of a command that runs, whether or not it was taken. */
  of(commandId: string): string | undefined;
  /** What came since the last call. */
  take(): readonly CommandProgressPayload[];
  /** Resolves when there is something to take, not more often than the interval, or at the signal. */
  whenProgress(signal: AbortSignal): Promise<void>;
}

export function commandProgress({ clock }: { readonly clock: Clock }): CommandProgress {
  const newest = new Map<string, CommandProgressPayload>();
  const messages = new Map<string, string>();
  const news = bell();
  let takenAt = Number.NEGATIVE_INFINITY;
  return {
    report: ({ id, sequence, attempt, message, data }) => {
      messages.set(id, message.slice(0, MESSAGE_LENGTH_MAX));
      const fits = data !== undefined && JSON.stringify(data).length <= DATA_BYTES_MAX;
      newest.set(id, {
        id,
        sequence,
        attempt,
        message: message.slice(0, MESSAGE_LENGTH_MAX),
        ...(fits ? { data } : {}),
        timestamp: clock.now().toISOString(),
      });
      news.ring();
    },
    forget: (commandId) => {
      newest.delete(commandId);
      messages.delete(commandId);
    },
    of: (commandId) => messages.get(commandId),
    take: () => {
      takenAt = clock.monotonic();
      const taken = [...newest.values()];
      newest.clear();
      return taken;
    },
    whenProgress: async (signal) => {
      while (newest.size === 0 && !signal.aborted) {
        await news.wait(signal);
      }
      await clock.sleep(Math.max(0, takenAt + PROGRESS_INTERVAL_MS - clock.monotonic()), signal);
    },
  };
}
