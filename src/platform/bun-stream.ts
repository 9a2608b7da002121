import type { Socket } from 'bun';
import { releaseBuffer } from '../core/release-buffer.ts';
import type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';

/** A socket of Bun: written to without a copy, for as long as the system takes the bytes. */
export class BunStream implements ByteStream {
  readonly #socket: Socket<undefined>;
  #handlers: ByteStreamHandlers | undefined;
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
    const taken = this.#unsent.length === 0 ? Math.max(this.#socket.write(bytes), 0) : 0;
    if (taken < bytes.length) {
      this.#unsent.push(Buffer.from(bytes.subarray(taken)));
      this.#unsentBytes += bytes.length - taken;
    }
  }

  unsentBytes(): number {
    return this.#unsentBytes;
  }

  end(): void {
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
