import { releaseBuffer } from '../core/release-buffer.ts';

/** Smaller pieces are copied together: a queue of single bytes would cost more than its bytes. */
const BLOCK_BYTES = 16 * 1024;

/**
 * Bytes that wait, first in, first out. What it holds in memory is at most about twice its length,
 * whatever pieces came and whatever they were cut from. Its owner bounds the length.
 */
export class ByteQueue {
  #pieces: Uint8Array[] = [];
  /** Bytes of the first piece that are gone. */
  #gone = 0;
  #length = 0;
  /** The block at the end with room for more, and how much of it is used. */
  #block: Uint8Array | undefined;
  #blockUsed = 0;
  readonly #ownsBuffers: boolean;

  /** @param options.ownsBuffers nobody else uses the buffers behind what is pushed; else it copies */
  constructor(options: { readonly ownsBuffers: boolean }) {
    this.#ownsBuffers = options.ownsBuffers;
  }

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length < BLOCK_BYTES) {
      this.#pushSmall(bytes);
      return;
    }
    this.#block = undefined;
    // A small part of a large buffer would keep all of it in memory. (Buffer.slice copies nothing.)
    const mustCopy = !this.#ownsBuffers || bytes.length * 2 < bytes.buffer.byteLength;
    this.#pieces.push(mustCopy ? new Uint8Array(bytes) : bytes);
    if (mustCopy && this.#ownsBuffers) {
      releaseBuffer(bytes);
    }
  }

  /** What is first in the queue, in one piece; undefined when it is empty. */
  head(): Uint8Array | undefined {
    const piece = this.#pieces[0];
    return this.#gone === 0 ? piece : piece?.subarray(this.#gone);
  }

  /** Takes bytes off the front: at most as many as `head` has. */
  drop(count: number): void {
    this.#length -= count;
    this.#gone += count;
    const piece = this.#pieces[0];
    if (piece !== undefined && this.#gone === piece.length) {
      this.#pieces.shift();
      this.#gone = 0;
      if (this.#ownsBuffers) {
        releaseBuffer(piece);
      }
      if (this.#pieces.length === 0) {
        this.#block = undefined;
      }
    }
  }

  clear(): void {
    this.#pieces = [];
    this.#gone = 0;
    this.#length = 0;
    this.#block = undefined;
  }

  #pushSmall(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#block === undefined || this.#blockUsed === BLOCK_BYTES) {
        this.#block = new Uint8Array(BLOCK_BYTES);
        this.#blockUsed = 0;
        this.#pieces.push(this.#block.subarray(0, 0));
      }
      const part = rest.subarray(0, BLOCK_BYTES - this.#blockUsed);
      this.#block.set(part, this.#blockUsed);
      this.#blockUsed += part.length;
      this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, this.#blockUsed);
      rest = rest.subarray(part.length);
    }
  }
}
