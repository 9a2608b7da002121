import type { Socket } from 'bun';

/** Small pieces leave together: up to this many bytes are copied into one write. */
const JOINED_BYTES_MAX = 16 * 1024;

/**
 * Where small pieces are joined. One for all sockets of a door: nothing stays in it after a write.
 */
export function joiningRoom(): Buffer {
  return Buffer.allocUnsafeSlow(JOINED_BYTES_MAX);
}

/** What goes out on a socket: in order, in few writes, kept while the system takes no more. */
export class SocketOutput {
  readonly #socket: Pick<Socket, 'write' | 'shutdown'>;
  readonly #room: Buffer;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isBlocked = false;
  #flushIsDue = false;
  /** ended: the socket has been told. */
  #state: 'open' | 'ending' | 'ended' = 'open';

  /** @param room made by `joiningRoom` */
  constructor(socket: Pick<Socket, 'write' | 'shutdown'>, room: Buffer) {
    this.#socket = socket;
    this.#room = room;
  }

  /** The system did not take everything: the writer waits until it does. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Leaves with what else is written in this turn of the event loop. @returns false when the caller must wait */
  write(bytes: Uint8Array): boolean {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= JOINED_BYTES_MAX) {
      this.flush();
    } else if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      queueMicrotask(() => this.flush());
    }
    return !this.#isBlocked;
  }

  flush(): void {
    this.#flushIsDue = false;
    while (!this.#isBlocked && this.#waiting.length > 0) {
      const piece = this.#takeNext();
      // -1: it is closed, as its owner is about to be told.
      const taken = Math.max(this.#socket.write(piece), 0);
      if (taken < piece.length) {
        const rest = piece.subarray(taken);
        this.#waiting.unshift(piece.buffer === this.#room.buffer ? Buffer.from(rest) : rest);
        this.#waitingBytes += piece.length - taken;
        this.#isBlocked = true;
      }
    }
    if (this.#state === 'ending' && !this.#isBlocked) {
      this.#state = 'ended';
      // Not `end`: after that only the other side can close it (Bun 1.4.5).
      this.#socket.shutdown();
    }
  }

  /** The system takes bytes again. */
  drained(): void {
    this.#isBlocked = false;
    this.flush();
  }

  /** Nothing more comes: this side of the socket is closed once everything has left. */
  end(): void {
    if (this.#state === 'open') {
      this.#state = 'ending';
    }
    this.flush();
  }

  /** The first piece, with those behind it as long as all of them are small. */
  #takeNext(): Uint8Array {
    let count = 0;
    let bytes = 0;
    for (const piece of this.#waiting) {
      if (count > 0 && bytes + piece.length > JOINED_BYTES_MAX) {
        break;
      }
      count += 1;
      bytes += piece.length;
    }
    const pieces = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    const [first] = pieces;
    return first !== undefined && count === 1 ? first : this.#joined(pieces);
  }

  #joined(pieces: readonly Uint8Array[]): Uint8Array {
    let bytes = 0;
    for (const piece of pieces) {
      this.#room.set(piece, bytes);
      bytes += piece.length;
    }
    return this.#room.subarray(0, bytes);
  }
}
