import type { Clock } from '../../core/ports.ts';
import type { EndReason, GapData } from '../../protocol/local-realtime.ts';
import type { StreamCall, StreamSink } from '../api/stream.ts';
import { type EventRing, eventFrame, type GapReason } from './event-ring.ts';

/** A reader that takes nothing for this long is dropped. */
export const STALLED_MS = 30_000;
/** A comment: a client passes over it. */
const HEARTBEAT = Buffer.from(': heartbeat\n\n');
/** How long a browser waits before it comes back, ms. */
const RETRY = Buffer.from('retry: 3000\n\n');

const GAPS: Readonly<Record<GapReason, string>> = {
  restarted: 'The agent was started again meanwhile: read what you show anew',
  forgotten: 'The events since then are no longer known: read what you show anew',
};

const TOO_SLOW: EndReason = {
  code: 'READER_TOO_SLOW',
  message: 'Events came faster than they were read: come back, and read what you show anew',
};

export interface ReadRequest {
  /** The id of the newest event that it knows; undefined: it begins. */
  readonly lastId: string | undefined;
  /** Of the events that are there already, how many are sent to who begins. */
  readonly tail: number;
  /** false: it ends when everything that is there was sent. */
  readonly follow: boolean;
  readonly wants: (rank: number) => boolean;
  /** Data of the event `connected`. */
  readonly greeting: object;
}

interface ReaderDeps {
  readonly clock: Clock;
  readonly ring: EventRing;
  readonly sink: StreamSink;
  /** @param dropped whether it was too slow */
  readonly onOver: (reader: EventReader, dropped: boolean) => void;
}

/** One reader of a ring. It holds nothing but its place: events go out as it takes them. */
export class EventReader implements StreamCall {
  readonly #deps: ReaderDeps;
  readonly #request: ReadRequest;
  readonly #stopListening: () => void;
  #next: number;
  /** Monotonic ms. */
  #blockedSince: number | undefined;
  #isOver = false;

  constructor(deps: ReaderDeps, request: ReadRequest) {
    const { ring } = deps;
    this.#deps = deps;
    this.#request = request;
    const { place, gap } =
      request.lastId === undefined
        ? { place: placeOfTail(ring, request), gap: undefined }
        : ring.placeAfter(request.lastId);
    this.#next = place;
    this.#write(RETRY);
    this.#tell('connected', request.greeting);
    if (gap !== undefined) {
      this.#tell('gap', { reason: gap, message: GAPS[gap] } satisfies GapData);
    }
    this.#stopListening = ring.onAdd(() => this.send());
  }

  /** Sends what it has not been sent, as much as it takes. */
  send(): void {
    const { ring } = this.#deps;
    while (this.#blockedSince === undefined && !this.#isOver) {
      const event = ring.at(this.#next);
      if (this.#next < ring.oldest()) {
        this.end(TOO_SLOW, true);
      } else if (event !== undefined) {
        this.#next += 1;
        if (this.#request.wants(event.rank)) {
          this.#write(event.bytes);
        }
      } else if (this.#request.follow) {
        return;
      } else {
        this.end();
      }
    }
  }

  room(): void {
    this.#blockedSince = undefined;
    this.send();
  }

  gone(): void {
    this.#over(false);
  }

  /** Sends a sign of life, or drops it when it has taken nothing for too long. */
  beat(): void {
    const { clock, sink } = this.#deps;
    if (this.#blockedSince === undefined) {
      this.#write(HEARTBEAT);
    } else if (clock.monotonic() - this.#blockedSince >= STALLED_MS) {
      this.#over(true);
      sink.break();
    }
  }

  end(reason?: EndReason, dropped = false): void {
    if (reason !== undefined) {
      this.#tell('end', reason);
    }
    this.#over(dropped);
    this.#deps.sink.end();
  }

  #tell(event: string, data: object): void {
    this.#write(eventFrame(event, data, this.#deps.ring.idOf(this.#next)));
  }

  #write(bytes: Buffer): void {
    if (!this.#deps.sink.write(bytes)) {
      this.#blockedSince ??= this.#deps.clock.monotonic();
    }
  }

  #over(dropped: boolean): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#stopListening();
      this.#deps.onOver(this, dropped);
    }
  }
}

/** Before the newest events that it wants, as many as it asks for. */
function placeOfTail(ring: EventRing, { tail, wants }: ReadRequest): number {
  let place = ring.end();
  for (let found = 0; found < tail && place > ring.oldest(); place -= 1) {
    const event = ring.at(place - 1);
    found += event !== undefined && wants(event.rank) ? 1 : 0;
  }
  return place;
}
