import type { Clock } from '../core/ports.ts';
import {
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  type FrameHeader,
  writeFrameHeader,
} from './frame.ts';
import { InFlight } from './in-flight.ts';

/** What carries the frames: the binary messages of a WebSocket. */
export interface ByteTransport {
  /** One message of all parts, which may be reused after it returned. False when the connection is gone. */
  send(parts: readonly Uint8Array[]): boolean;
  /** Bytes that are sent but have not left this process. */
  bufferedBytes(): number;
}

/** Someone who has more to send, in the queue for a turn. */
export interface Sender {
  /** How much it may still send past the queue in this round. */
  urgent: { round: number; bytesLeft: number };
  /** It may send now: it has a turn. */
  writable(): void;
}

/** Headers and small payloads of one turn of the event loop leave as one message. */
const BATCH_BYTES = 64 * 1024;

/** Larger payloads leave at once, behind what is in the batch, and are not copied into it. */
const COPIED_PAYLOAD_BYTES_MAX = 8 * 1024;

/**
 * What a stream may send past the queue between two answers of the peer: a shell's keystrokes and
 * screens. Payloads that are larger, and streams that send more, wait for their turn.
 */
const URGENT_BYTES = 4 * 1024;

/**
 * Credit that leaves at once and not at the end of the turn: the peer of a single stream waits for
 * it. With many streams, others still have credit meanwhile, and fewer messages are worth more.
 */
const EARLY_CREDIT_BYTES = 256 * 1024;

/** A peer that lets this much pile up reads nothing: the cap and the urgent bytes are far below. */
const UNSENT_BYTES_MAX = 32 * 1024 * 1024;

/**
 * What leaves: frames in batches. Decides who may send when there is more than the connection
 * takes.
 */
export class FrameOutput {
  readonly inFlight: InFlight;
  readonly #transport: ByteTransport;
  readonly #onTurnEnd: () => void;
  readonly #fail: (reason: string) => void;
  readonly #batch = new Uint8Array(BATCH_BYTES);
  readonly #header: FrameHeader = { type: 0, flags: 0, streamId: 0, length: 0 };
  /** In the order of their turns. */
  readonly #queue = new Set<Sender>();
  #batchBytes = 0;
  #creditThisTurn = 0;
  #hasTurn: Sender | undefined;
  #round = 0;
  #closed = false;

  /**
   * @param onTurnEnd asks for `turnEnded` at the end of this turn of the event loop
   * @param fail the connection cannot be used any more
   */
  constructor(
    deps: { readonly clock: Clock; readonly transport: ByteTransport },
    onTurnEnd: () => void,
    fail: (reason: string) => void,
  ) {
    this.#transport = deps.transport;
    this.#onTurnEnd = onTurnEnd;
    this.#fail = fail;
    this.inFlight = new InFlight(deps, (value) =>
      this.control(FRAME_TYPE.ping, FRAME_FLAG.syn, 0, value),
    );
  }

  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#batchBytes + FRAME_HEADER_BYTES > BATCH_BYTES) {
      this.flush();
    }
    this.#header.type = type;
    this.#header.flags = flags;
    this.#header.streamId = streamId;
    this.#header.length = length;
    writeFrameHeader(this.#batch, this.#batchBytes, this.#header);
    this.#batchBytes += FRAME_HEADER_BYTES;
    this.#onTurnEnd();
  }

  data(streamId: number, payload: Uint8Array): void {
    const size = payload.length;
    if (size > COPIED_PAYLOAD_BYTES_MAX) {
      this.control(FRAME_TYPE.data, 0, streamId, size);
      this.#send([this.#takeBatch(), payload]);
    } else {
      if (this.#batchBytes + FRAME_HEADER_BYTES + size > BATCH_BYTES) {
        this.flush();
      }
      this.control(FRAME_TYPE.data, 0, streamId, size);
      this.#batch.set(payload, this.#batchBytes);
      this.#batchBytes += size;
    }
    this.inFlight.sent(size);
  }

  /** Lets the peer send this many bytes more on a stream. */
  credit(streamId: number, bytes: number): void {
    this.control(FRAME_TYPE.windowUpdate, 0, streamId, bytes);
    this.#creditThisTurn += bytes;
    if (this.#creditThisTurn <= EARLY_CREDIT_BYTES) {
      this.flush();
    }
  }

  /**
   * How many of `bytes` the sender may send now. With 0 it has a place in the queue, and
   * `writable` is called when its turn comes.
   * @param last whether the sender has no more than these
   */
  admit(sender: Sender, bytes: number, last: boolean): number {
    const isQueued = this.#queue.size > 0 && this.#hasTurn !== sender;
    if (!isQueued && this.inFlight.hasRoom()) {
      this.#hasTurn = undefined;
      return Math.min(bytes, this.inFlight.quantumBytes);
    }
    const { urgent } = sender;
    if (urgent.round !== this.#round) {
      urgent.round = this.#round;
      urgent.bytesLeft = URGENT_BYTES;
    }
    if (last && bytes <= urgent.bytesLeft) {
      urgent.bytesLeft -= bytes;
      return bytes;
    }
    this.#queue.add(sender);
    return 0;
  }

  /** It has nothing to send any more. */
  leave(sender: Sender): void {
    this.#queue.delete(sender);
  }

  /** The peer answered a ping. */
  pong(value: number): void {
    if (!this.inFlight.answered(value)) {
      return;
    }
    this.#round += 1;
    while (!this.#closed && this.inFlight.hasRoom()) {
      const [next] = this.#queue;
      if (next === undefined) {
        return;
      }
      this.#queue.delete(next);
      this.#hasTurn = next;
      next.writable();
      this.#hasTurn = undefined;
    }
  }

  /** What waits for the end of the turn leaves. */
  turnEnded(): void {
    this.#creditThisTurn = 0;
    this.flush();
  }

  flush(): void {
    if (this.#batchBytes > 0) {
      this.#send([this.#takeBatch()]);
    }
  }

  #takeBatch(): Uint8Array {
    const batch = this.#batch.subarray(0, this.#batchBytes);
    this.#batchBytes = 0;
    return batch;
  }

  /** Nothing leaves any more. */
  close(): void {
    this.#closed = true;
    this.#queue.clear();
  }

  #send(parts: readonly Uint8Array[]): void {
    if (this.#closed) {
      return;
    }
    if (!this.#transport.send(parts)) {
      this.close();
      this.#fail('the connection is gone');
    } else if (this.#transport.bufferedBytes() > UNSENT_BYTES_MAX) {
      this.close();
      this.#fail('the peer reads nothing');
    }
  }
}
