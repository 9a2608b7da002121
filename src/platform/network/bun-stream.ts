import type { Socket } from 'bun';
import { releaseBuffer } from '../../core/release-buffer.ts';
import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';

/** Writes up to this size leave together at the end of a turn of the event loop: one call of the system. */
const GATHERED_WRITE_BYTES_MAX = 4 * 1024;
const GATHER_BYTES = 32 * 1024;

/** A socket of Bun: written to without a copy, for as long as the system takes the bytes. */
export class BunStream implements ByteStream {
  readonly #socket: Socket<undefined>;
  #handlers: ByteStreamHandlers | undefined;
  /** Small writes of this turn. */
  #gathered = Buffer.alloc(0);
  #gatheredBytes = 0;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #ending = false;
  #failure = '';

  constructor(socket: Socket<undefined>) {
    this.#socket = socket;
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length <= GATHERED_WRITE_BYTES_MAX) {
      this.#gather(bytes);
    } else {
      this.#sendGathered();
      this.#send(bytes);
    }
  }

  #gather(bytes: Uint8Array): void {
    if (this.#gatheredBytes + bytes.length > GATHER_BYTES) {
      this.#sendGathered();
    }
    if (this.#gathered.length === 0) {
      this.#gathered = Buffer.allocUnsafeSlow(GATHER_BYTES);
    }
    if (this.#gatheredBytes === 0) {
      setImmediate(() => this.#sendGathered());
    }
    this.#gathered.set(bytes, this.#gatheredBytes);
    this.#gatheredBytes += bytes.length;
  }

  #sendGathered(): void {
    const count = this.#gatheredBytes;
    if (count > 0) {
      this.#gatheredBytes = 0;
      this.#send(this.#gathered.subarray(0, count));
    }
  }

  #send(bytes: Uint8Array): void {
    const taken = this.#unsent.length === 0 ? Math.max(this.#socket.write(bytes), 0) : 0;
    if (taken < bytes.length) {
      this.#unsent.push(Buffer.from(bytes.subarray(taken)));
      this.#unsentBytes += bytes.length - taken;
    }
  }

  unsentBytes(): number {
    return this.#gatheredBytes + this.#unsentBytes;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#sendGathered();
    this.#ending = true;
    this.flush();
  }

  destroy(): void {
    this.#socket.terminate();
  }

  // --- From the socket ---

  received(bytes: Buffer): void {
    this.#handlers?.data(bytes);
    releaseBuffer(bytes);
  }

  /** The system takes bytes again. */
  flush(): void {
    while (this.#unsent.length > 0) {
      const [first = Buffer.alloc(0)] = this.#unsent;
      const taken = Math.max(this.#socket.write(first), 0);
      this.#unsentBytes -= taken;
      if (taken < first.length) {
        this.#unsent[0] = first.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#ending) {
      this.#socket.end();
    } else {
      this.#handlers?.drained?.();
    }
  }

  failed(reason: string): void {
    this.#failure = reason;
  }

  closed(reason: string): void {
    this.#handlers?.closed(reason || this.#failure);
    this.#handlers = undefined;
  }
}
