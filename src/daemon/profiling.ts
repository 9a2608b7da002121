/** What people ask the running daemon for when they look for a cause. */
import { AgentError } from '../core/errors.ts';
import type { Clock, Log, Profiler } from '../core/ports.ts';
import { iterableStream } from '../server/api/iterable-stream.ts';
import type { ProfilingSource } from '../server/api/sources.ts';

/** A larger heap is not told: its snapshot has several times its size. */
export const HEAP_BYTES_MAX = 128 * 1024 * 1024;
/** Of a snapshot, sent at once. */
const PIECE_BYTES = 64 * 1024;

export function profiling(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly profiler: Omit<Profiler, 'watchStacks' | 'takeStacks'>;
}): ProfilingSource {
  const { clock, log, profiler } = deps;
  let isBusy = false;
  const refuseWhileBusy = () => {
    if (isBusy) {
      throw new AgentError('BUSY', 'A profile or a snapshot of the heap is being taken', {
        hint: 'Ask again when it has ended',
      });
    }
  };
  return {
    cpuProfile: async ({ seconds }, signal) => {
      refuseWhileBusy();
      isBusy = true;
      try {
        log.warn('a profile is being taken', { seconds });
        const stop = await profiler.startCpuProfile();
        await clock.sleep(seconds * 1_000, signal);
        return await stop();
      } finally {
        isBusy = false;
      }
    },
    heap: () => {
      refuseWhileBusy();
      const heldBytes = profiler.heapBytes();
      if (heldBytes > HEAP_BYTES_MAX) {
        throw new AgentError(
          'BUSY',
          `The heap has ${heldBytes} bytes; a snapshot is made of ${HEAP_BYTES_MAX} at most`,
          { hint: 'Ask again when there is less to do' },
        );
      }
      return {
        begin: (sink) => {
          if (isBusy) {
            sink.break(); // Somebody else was let in at the same time.
            return { room: () => undefined, gone: () => undefined };
          }
          const bytes = snapshot(clock, log, profiler);
          isBusy = true;
          const source = pieces(bytes, () => {
            isBusy = false;
          });
          return iterableStream(deps, source, () => undefined).begin(sink);
        },
      };
    },
  };
}

function snapshot(clock: Clock, log: Log, profiler: Pick<Profiler, 'heapSnapshot'>): Uint8Array {
  const startedAt = clock.monotonic();
  const bytes = profiler.heapSnapshot();
  const duration_ms = Math.round(clock.monotonic() - startedAt);
  log.warn('a snapshot of the heap was taken', { bytes: bytes.length, duration_ms });
  return bytes;
}

/** @param ended called when nothing more is read of it */
async function* pieces(bytes: Uint8Array, ended: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      yield bytes.subarray(at, at + PIECE_BYTES);
    }
  } finally {
    ended();
  }
}
