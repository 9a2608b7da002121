import type { Draw } from './draw.ts';

/** Who gets what happens at a socket. */
export interface SocketOwner {
  received(bytes: Buffer): void;
  drained(): void;
  closed(): void;
}

/**
 * A socket as Bun's, without a network: what is written is kept, of which the system takes all or a
 * part; what arrives waits while it is paused; closing it is told at once.
 */
export class FakeSocket {
  owner: SocketOwner | undefined;
  /** What the other side got, as Latin-1. */
  sent = '';
  /** open: both ways. shut: this side writes no more. */
  state: 'open' | 'shut' | 'closed' = 'open';
  #arriving: (Buffer | 'end')[] = [];
  #isPaused = false;
  /** One piece had been read before it was paused. */
  #stillComes = false;
  #isFull = false;
  readonly #draw: Draw;
  readonly #onSent: () => void;

  constructor(draw: Draw, onSent: () => void = () => undefined) {
    this.#draw = draw;
    this.#onSent = onSent;
  }

  // --- From its owner ---

  write(bytes: Uint8Array): number {
    if (this.state !== 'open') {
      return -1;
    }
    if (this.#isFull) {
      return 0;
    }
    this.#isFull = this.#draw(8) === 0;
    const taken = this.#isFull ? this.#draw(bytes.length + 1) : bytes.length;
    this.#isFull = taken < bytes.length;
    this.sent += Buffer.from(bytes.buffer, bytes.byteOffset, taken).toString('latin1');
    this.#onSent();
    return taken;
  }

  shutdown(): void {
    if (this.state === 'open') {
      this.state = 'shut';
    }
  }

  end(): number {
    this.#close();
    return 0;
  }

  terminate(): void {
    this.#close();
  }

  pause(): void {
    this.#isPaused = true;
    this.#stillComes = this.#draw(4) === 0;
  }

  resume(): void {
    this.#isPaused = false;
  }

  // --- From the other side ---

  /** end: it closes the connection behind what it has sent. */
  arrive(...pieces: readonly (Buffer | 'end')[]): void {
    this.#arriving.push(...pieces);
  }

  /** Lets one thing happen. @returns false when nothing can */
  step(): boolean {
    if (this.state === 'closed') {
      return false;
    }
    const isHeldBack = this.#isPaused && !(this.#stillComes && this.#arriving[0] !== 'end');
    const next = isHeldBack ? undefined : this.#arriving[0];
    if (this.#isFull && (next === undefined || this.#draw(2) === 0)) {
      this.#isFull = false;
      this.owner?.drained();
      return true;
    }
    if (next !== undefined) {
      this.#arriving.shift();
      this.#stillComes = false;
    }
    if (next === 'end') {
      this.#close();
    } else if (next !== undefined) {
      this.owner?.received(next);
    }
    return next !== undefined;
  }

  /** The other side has gone, whatever is under way. */
  leave(): void {
    this.#close();
  }

  #close(): void {
    if (this.state !== 'closed') {
      this.state = 'closed';
      this.owner?.closed();
    }
  }
}
