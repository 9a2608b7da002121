import { troubleOf } from '../core/trouble.ts';
import type { StreamEnd, StreamHandler, YamuxStream } from '../yamux/stream.ts';
import type { TargetDeps } from './tcp-target.ts';

/**
 * A stream without a datagram in either direction for this long is ended: nothing else would end
 * it.
 */
const IDLE_MS = 300_000;

/** How long the peer may take to end its half too. */
const END_TIMEOUT_MS = 5_000;

/** Largest datagram of IPv4: 65535 less the headers. */
const DATAGRAM_BYTES_MAX = 65_507;

const LENGTH_BYTES = 2;

type UdpSocket = Bun.udp.ConnectedSocket<'buffer'>;

/**
 * A stream and a UDP socket. Without framing each received piece is one datagram, as with the
 * existing control plane; with framing each datagram follows its length as u16. A datagram that
 * does not fit into a window or into the kernel is dropped, as UDP does.
 */
export class UdpTarget implements StreamHandler {
  readonly #deps: TargetDeps;
  readonly #stream: YamuxStream;
  readonly #framing: boolean;
  #socket: UdpSocket | undefined;
  /** The beginning of a frame that is not complete; only with framing. */
  #partial: Buffer = Buffer.alloc(0);
  #isActive = false;
  #dialling = false;
  #over = false;

  constructor(deps: TargetDeps, stream: YamuxStream, framing: boolean) {
    this.#deps = deps;
    this.#stream = stream;
    this.#framing = framing;
  }

  async dial(host: string, port: number): Promise<void> {
    if (this.#over) {
      return;
    }
    this.#dialling = true;
    try {
      const socket = await Bun.udpSocket({
        connect: { hostname: host, port },
        socket: {
          data: (_, datagram) => this.#received(datagram),
          // Nobody listens there now; the next datagram may find somebody.
          error: (_, error) => this.#deps.failed(troubleOf(error)),
        },
      });
      this.#socket = socket;
      if (this.#over) {
        socket.close();
      } else {
        this.#send(Buffer.alloc(0));
        this.#endWhenIdle();
      }
    } catch (thrown) {
      this.#deps.counters.dialErrors += 1;
      this.#deps.failed(`cannot open a socket: ${troubleOf(thrown)}`);
      this.refuse();
    }
    this.#dialling = false;
    this.#releaseWhenOver();
  }

  refuse(): void {
    this.#stream.end();
    if (!this.#over) {
      this.#deps.deadlines.set(this, END_TIMEOUT_MS, () => this.#stream.reset());
    }
  }

  data(bytes: Uint8Array): void {
    this.#isActive = true;
    this.#deps.counters.bytesIn += bytes.length;
    this.#deps.own.bytesIn += bytes.length;
    this.#stream.consumed(bytes.length);
    if (this.#socket === undefined || this.#framing) {
      this.#gather(bytes);
    } else {
      this.#sendDatagram(bytes);
    }
  }

  ended(): void {
    this.#stream.end();
  }

  writable(): void {
    // A datagram that did not fit was dropped.
  }

  closed(_end: StreamEnd): void {
    this.#over = true;
    this.#socket?.close();
    this.#releaseWhenOver();
  }

  /** Keeps bytes that cannot be sent yet, at most one datagram with its length. */
  #gather(bytes: Uint8Array): void {
    if (this.#socket === undefined) {
      const room = DATAGRAM_BYTES_MAX + LENGTH_BYTES - this.#partial.length;
      this.#partial = Buffer.concat([this.#partial, bytes.subarray(0, room)]);
      if (bytes.length > room && this.#framing) {
        this.#stream.reset(); // The boundary of the next datagram is lost.
      }
      return;
    }
    this.#send(bytes);
  }

  /** Sends what was gathered, and these bytes after it. */
  #send(bytes: Uint8Array): void {
    let rest =
      this.#partial.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#partial, bytes]);
    this.#partial = Buffer.alloc(0);
    if (!this.#framing) {
      if (rest.length > 0) {
        this.#sendDatagram(rest);
      }
      return;
    }
    while (rest.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + rest.readUInt16BE(0);
      if (rest.length < end) {
        break;
      }
      this.#sendDatagram(rest.subarray(LENGTH_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#partial = Buffer.from(rest);
  }

  #sendDatagram(datagram: Uint8Array): void {
    for (let at = 0; at === 0 || at < datagram.length; at += DATAGRAM_BYTES_MAX) {
      this.#socket?.send(datagram.subarray(at, at + DATAGRAM_BYTES_MAX));
    }
  }

  #received(datagram: Buffer): void {
    this.#isActive = true;
    const length = Buffer.alloc(this.#framing ? LENGTH_BYTES : 0);
    if (this.#framing) {
      length.writeUInt16BE(datagram.length);
    }
    const frame = Buffer.concat([length, datagram]);
    if (frame.length <= this.#stream.sendCreditBytes) {
      this.#deps.counters.bytesOut += frame.length;
      this.#deps.own.bytesOut += frame.length;
      this.#stream.write(frame);
    }
  }

  #endWhenIdle(): void {
    this.#deps.deadlines.set(this, IDLE_MS, () => {
      if (this.#isActive) {
        this.#isActive = false;
        this.#endWhenIdle();
      } else {
        this.refuse();
      }
    });
  }

  #releaseWhenOver(): void {
    if (this.#over && !this.#dialling) {
      this.#dialling = true; // Once.
      this.#deps.deadlines.clear(this);
      this.#deps.released();
    }
  }
}
