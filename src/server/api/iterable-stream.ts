import type { Clock } from '../../core/ports.ts';
import { settledWithin } from '../../core/waiting.ts';
import type { ApiStream, StreamSink } from './stream.ts';

/** A caller that takes nothing for this long is dropped. */
const STALLED_MS = 30_000;

/**
 * Sends what comes, no faster than the caller takes it: nothing is read ahead.
 * @param ended called once, when nothing more is read from the source: at its end, or when the caller has gone
 */
export function iterableStream(
  deps: { readonly clock: Clock },
  source: AsyncIterable<Uint8Array>,
  ended: () => void,
): ApiStream {
  return {
    begin: (sink) => {
      const caller = { isGone: false, room: Promise.withResolvers<void>() };
      void send(deps.clock, source, sink, caller).finally(ended);
      return {
        room: () => caller.room.resolve(),
        gone: () => {
          caller.isGone = true;
          caller.room.resolve();
          ended();
        },
      };
    },
  };
}

async function send(
  clock: Clock,
  source: AsyncIterable<Uint8Array>,
  sink: StreamSink,
  caller: { readonly isGone: boolean; room: PromiseWithResolvers<void> },
): Promise<void> {
  try {
    for await (const bytes of source) {
      if (caller.isGone) {
        return;
      }
      caller.room = Promise.withResolvers();
      const hasRoom = sink.write(Buffer.from(bytes));
      if (!hasRoom && !(await settledWithin(clock, STALLED_MS, undefined, caller.room.promise))) {
        sink.break();
        return;
      }
    }
  } catch {
    // What was sent is not whole, and only a broken connection says so.
    if (!caller.isGone) {
      sink.break();
    }
    return;
  }
  if (!caller.isGone) {
    sink.end();
  }
}
