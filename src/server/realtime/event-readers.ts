/** Those who read a ring of events: how many there may be, heartbeats, and their end. */
import { msUntilBeat } from '../../core/beat.ts';
import { AgentError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import type { EndReason } from '../../protocol/local-realtime.ts';
import type { ApiStream } from '../api/stream.ts';
import { EventReader, type ReadRequest } from './event-reader.ts';
import type { EventRing } from './event-ring.ts';

/** Something is sent at least this often, so that both sides learn when the other one is gone. */
export const HEARTBEAT_MS = 15_000;

const STOPPING: EndReason = { code: 'SHUTTING_DOWN', message: 'The agent stops: come back soon' };

export interface EventReaders {
  /** @throws AgentError TOO_MANY_REQUESTS, SHUTTING_DOWN */
  open(request: ReadRequest): ApiStream;
  count(): number;
  /** Sends heartbeats, drops those who stall, and ends all of them at the stop. */
  readonly service: Service;
}

interface ReadersOptions {
  readonly name: string;
  readonly readersMax: number;
  /** Called when somebody begins to read, and when somebody has ended. */
  readonly onChange?: () => void;
}

export function eventReaders(
  deps: { readonly clock: Clock; readonly log: Log; readonly ring: EventRing },
  { name, readersMax, onChange }: ReadersOptions,
): EventReaders {
  const readers = new Set<EventReader>();
  let isStopping = false;
  const warn = limitedLog(deps.clock, deps.log.warn);
  const onOver = (reader: EventReader, dropped: boolean) => {
    readers.delete(reader);
    onChange?.();
    if (dropped) {
      warn('dropped a reader that is too slow', { stream: name, error_code: 'READER_TOO_SLOW' });
    }
  };
  const beat = async (signal: AbortSignal) => {
    while (await deps.clock.sleep(msUntilBeat(deps.clock, HEARTBEAT_MS), signal)) {
      for (const reader of [...readers]) {
        reader.beat();
      }
    }
    isStopping = true;
    for (const reader of [...readers]) {
      reader.end(STOPPING);
    }
  };
  return {
    count: () => readers.size,
    open: (request) => {
      if (isStopping) {
        throw new AgentError('SHUTTING_DOWN', 'The agent stops', { hint: 'Ask again soon' });
      }
      if (readers.size >= readersMax) {
        throw new AgentError('TOO_MANY_REQUESTS', `${readersMax} read it already`, {
          hint: 'End those that are not needed any more',
        });
      }
      return {
        begin: (sink) => {
          const reader = new EventReader({ ...deps, sink, onOver }, request);
          readers.add(reader);
          onChange?.();
          reader.send();
          return reader;
        },
      };
    },
    service: { name, start: async (signal) => ({ done: beat(signal) }) },
  };
}
