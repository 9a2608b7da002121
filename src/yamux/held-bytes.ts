/** A stream with bytes that came and wait for a slow target. */
interface Holder {
  readonly heldBytes: number;
}

/**
 * The bytes that all streams of a session hold together, including streams that are already over.
 */
export class HeldBytes<Stream extends Holder> {
  readonly #holders = new Set<Stream>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** What the stream holds has changed by this much; the stream already shows it. */
  changed(stream: Stream, change: number): void {
    this.#total += change;
    if (stream.heldBytes === 0) {
      this.#holders.delete(stream);
    } else if (change > 0) {
      this.#holders.add(stream);
    }
  }

  largest(): Stream | undefined {
    let largest: Stream | undefined;
    for (const stream of this.#holders) {
      if (stream.heldBytes > (largest?.heldBytes ?? 0)) {
        largest = stream;
      }
    }
    return largest;
  }
}
