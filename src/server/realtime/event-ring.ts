/** The newest events of one kind of stream, for all who read it: a reader only has a place in it. */
import type { Clock } from '../../core/ports.ts';

/** Events that are kept. */
export const RING_EVENTS_MAX = 1_000;

export interface RingEvent {
  /** As it is sent; never changed. */
  readonly bytes: Buffer;
  /** By which readers choose: of a line of the log, how grave it is. */
  readonly rank: number;
}

/** Why events between two places are not known any more. */
export type GapReason = 'restarted' | 'forgotten';

export interface EventRing {
  /** @param rank see `RingEvent` */
  add(event: string, data: object, rank?: number): void;
  /** Forgets all of it; who goes on from an earlier place is told that there is a gap. */
  clear(): void;
  /** The place behind the newest event. */
  end(): number;
  /** The place of the oldest event that is kept; `end()` where there is none. */
  oldest(): number;
  /** The event at a place; undefined where none is kept. */
  at(place: number): RingEvent | undefined;
  /** What a reader that has read everything before the place sends to go on there. */
  idOf(place: number): string;
  /** The place behind the event with that id, and why there is a gap before it. */
  placeAfter(id: string): { readonly place: number; readonly gap: GapReason | undefined };
  /** Called after each event, until the returned function is called. */
  onAdd(listener: () => void): () => void;
}

/** @param bytesMax of all events together, as they are sent */
export function eventRing(deps: { readonly clock: Clock }, bytesMax: number): EventRing {
  // Ids of an earlier start must not be taken for those of this one.
  const start = deps.clock.now().getTime().toString(36);
  const events = new Map<number, RingEvent>();
  const listeners = new Set<() => void>();
  let [oldest, end, bytes] = [1, 1, 0];
  const idOf = (place: number) => `${start}-${place - 1}`;
  const forgetOldest = () => {
    bytes -= events.get(oldest)?.bytes.length ?? 0;
    events.delete(oldest);
    oldest += 1;
  };
  return {
    add: (event, data, rank = 0) => {
      const frame = eventFrame(event, data, idOf(end + 1));
      events.set(end, { bytes: frame, rank });
      end += 1;
      bytes += frame.length;
      while (events.size > RING_EVENTS_MAX || (bytes > bytesMax && events.size > 1)) {
        forgetOldest();
      }
      for (const listener of [...listeners]) {
        listener();
      }
    },
    clear: () => {
      events.clear();
      bytes = 0;
      // A place that nobody can have read: what was missed cannot be seen from the ids otherwise.
      end += 1;
      oldest = end;
    },
    end: () => end,
    oldest: () => oldest,
    at: (place) => events.get(place),
    idOf,
    placeAfter: (id) => {
      const [ofStart, number] = id.split('-');
      const place = Number(number) + 1;
      if (ofStart !== start || !(place >= 1 && place <= end)) {
        return { place: oldest, gap: 'restarted' };
      }
      return place < oldest ? { place: oldest, gap: 'forgotten' } : { place, gap: undefined };
    },
    onAdd: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** One event as `text/event-stream` has it (html.spec.whatwg.org, "Server-sent events"). JSON has no line ends. */
export function eventFrame(event: string, data: object, id: string): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
