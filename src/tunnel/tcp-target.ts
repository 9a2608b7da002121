import type { Socket } from 'bun';
import { releaseBuffer } from '../core/release-buffer.ts';
import { troubleOf } from '../core/trouble.ts';
import { ByteQueue } from '../yamux/byte-queue.ts';
import type { StreamEnd, StreamHandler, YamuxStream } from '../yamux/stream.ts';
import type { TunnelCounters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { OpenStream } from './open-streams.ts';

/** Smaller pieces for one target are joined until the turn of the event loop ends. */
const DIRECT_WRITE_BYTES_MIN = 16 * 1024;

const TCP_KEEPALIVE_MS = 30_000;

/** How long the peer may still read after the target has gone with bytes unread. */
const GONE_LINGER_MS = 5_000;

/** How long a target may take to read the rest after its stream has ended. */
const DRAIN_TIMEOUT_MS = 300_000;

export interface TargetDeps {
  readonly counters: TunnelCounters;
  /** Its bytes alone. */
  readonly own: Pick<OpenStream, 'bytesIn' | 'bytesOut'>;
  readonly deadlines: Deadlines;
  /** Runs work once, after all that came in this turn of the event loop. */
  readonly atTurnEnd: (task: () => void) => void;
  /** For the log: why a stream ended before its data did. */
  readonly failed: (reason: string) => void;
  /** Nothing is left: neither stream nor socket. */
  readonly released: () => void;
}

/** A stream and a TCP connection that feed each other, at the pace of the slower one. */
export class TcpTarget implements StreamHandler {
  readonly #deps: TargetDeps;
  readonly #stream: YamuxStream;
  #socket: Socket<TcpTarget> | undefined;
  /** Bounded by the stream's window. */
  readonly #toTarget = new ByteQueue({ ownsBuffers: false });
  /** Bounded by what the socket reads at once: it is paused while something waits here. */
  readonly #toPeer = new ByteQueue({ ownsBuffers: true });
  #flushIsDue = false;
  #wroteThisTurn = false;
  #awaitsDrain = false;
  #peerEnded = false;
  #targetEnded = false;
  #streamClosed = false;
  #shutDown = false;
  #socketClosed = false;
  /** A dial cannot be aborted: the target counts until it has connected or failed. */
  #dialling = false;
  #resetIsDue = false;
  #released = false;

  constructor(deps: TargetDeps, stream: YamuxStream) {
    this.#deps = deps;
    this.#stream = stream;
  }

  /** Connects. Bytes wait within the window until then, or for ever when it fails. */
  async dial(host: string, port: number, timeoutMs: number): Promise<void> {
    if (this.#streamClosed) {
      return;
    }
    this.#deps.deadlines.set(this, timeoutMs, () => this.#dialFailed('it takes too long'));
    this.#dialling = true;
    try {
      await Bun.connect<TcpTarget>({
        hostname: host,
        port,
        allowHalfOpen: true,
        data: this,
        socket: SOCKET_HANDLER,
      });
    } catch (thrown) {
      this.#dialFailed(troubleOf(thrown));
    }
    this.#dialling = false;
    this.#releaseWhenOver();
  }

  /** There will be no target: the peer reads the end of the stream, and may send only briefly. */
  refuse(): void {
    this.#socketClosed = true;
    this.#dropUnread();
    this.#resetLater();
    this.#stream.end();
  }

  // --- From the peer ---

  data(bytes: Uint8Array): void {
    if (this.#socketClosed) {
      this.#stream.consumed(bytes.length);
      this.#resetLater();
      return;
    }
    this.#deps.counters.bytesIn += bytes.length;
    this.#deps.own.bytesIn += bytes.length;
    const mustWait = this.#socket === undefined || this.#awaitsDrain || this.#toTarget.length > 0;
    if (mustWait || (this.#wroteThisTurn && bytes.length < DIRECT_WRITE_BYTES_MIN)) {
      this.#toTarget.push(bytes);
      this.#flushLater();
      return;
    }
    const written = this.#write(bytes);
    if (written < bytes.length) {
      this.#toTarget.push(bytes.subarray(written));
    }
    this.#wroteThisTurn = true;
    this.#flushLater();
  }

  ended(): void {
    this.#peerEnded = true;
    this.#shutDownWhenDrained();
  }

  writable(): void {
    for (let head = this.#toPeer.head(); head !== undefined; head = this.#toPeer.head()) {
      const taken = this.#stream.write(head);
      this.#toPeer.drop(taken);
      this.#deps.counters.bytesOut += taken;
      this.#deps.own.bytesOut += taken;
      if (taken < head.length) {
        return;
      }
    }
    if (this.#targetEnded) {
      this.#stream.end();
    } else {
      this.#socket?.resume();
    }
  }

  closed(end: StreamEnd): void {
    this.#streamClosed = true;
    if (end === 'ended' && !this.#socketClosed) {
      this.#deps.deadlines.set(this, DRAIN_TIMEOUT_MS, () => this.#abort());
    } else {
      this.#abort();
    }
    this.#releaseWhenOver();
  }

  // --- From the target ---

  opened(socket: Socket<TcpTarget>): void {
    if (this.#socketClosed || this.#streamClosed) {
      socket.terminate(); // Too late.
      return;
    }
    this.#deps.deadlines.clear(this);
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    this.flush();
  }

  /** The bytes belong to this target: nobody else uses them. */
  received(bytes: Uint8Array): void {
    if (this.#toPeer.length > 0) {
      this.#toPeer.push(bytes);
      return;
    }
    const taken = this.#stream.write(bytes);
    this.#deps.counters.bytesOut += taken;
    this.#deps.own.bytesOut += taken;
    if (taken < bytes.length && !this.#streamClosed) {
      this.#toPeer.push(bytes.subarray(taken));
      this.#socket?.pause();
    } else {
      releaseBuffer(bytes);
    }
  }

  /** Writes the waiting bytes until the kernel accepts no more. */
  flush(): void {
    this.#awaitsDrain = false;
    for (let head = this.#toTarget.head(); head !== undefined; head = this.#toTarget.head()) {
      const written = this.#write(head);
      this.#toTarget.drop(written);
      if (written < head.length) {
        return;
      }
    }
    this.#shutDownWhenDrained();
  }

  targetEnded(): void {
    this.#targetEnded = true;
    if (this.#toPeer.length === 0) {
      this.#stream.end();
    }
  }

  /** @param error undefined when it ended in an orderly way */
  socketClosed(error?: string): void {
    if (this.#socketClosed) {
      return;
    }
    this.#socketClosed = true;
    const unread = this.#dropUnread();
    if (error === undefined) {
      this.targetEnded();
    } else if (!this.#streamClosed) {
      this.#deps.counters.copyErrors += 1;
      this.#deps.failed(error);
      this.#stream.reset();
    }
    if (unread > 0) {
      this.#resetLater();
    }
    this.#releaseWhenOver();
  }

  #dropUnread(): number {
    const unread = this.#toTarget.length;
    this.#toTarget.clear();
    this.#stream.consumed(unread);
    return unread;
  }

  #write(bytes: Uint8Array): number {
    const written = this.#socket?.write(bytes) ?? 0;
    if (written < bytes.length) {
      this.#awaitsDrain = true;
    }
    // -1 means that it is closed; its handler is about to be told.
    const taken = Math.max(0, written);
    if (taken > 0) {
      this.#stream.consumed(taken);
    }
    return taken;
  }

  #flushLater(): void {
    if (this.#flushIsDue || this.#socket === undefined) {
      return;
    }
    this.#flushIsDue = true;
    this.#deps.atTurnEnd(() => {
      this.#flushIsDue = false;
      this.#wroteThisTurn = false;
      if (!this.#awaitsDrain && !this.#socketClosed) {
        this.flush();
      }
    });
  }

  #shutDownWhenDrained(): void {
    if (this.#peerEnded && this.#toTarget.length === 0 && this.#socket !== undefined) {
      if (!this.#shutDown && !this.#socketClosed) {
        this.#shutDown = true;
        this.#socket.shutdown();
      }
    }
  }

  #dialFailed(reason: string): void {
    if (this.#socket === undefined && !this.#socketClosed) {
      this.#deps.counters.dialErrors += 1;
      this.#deps.failed(`cannot connect: ${reason}`);
      this.refuse();
    }
  }

  /**
   * The end of our half does not wake a peer whose writer waits for the window, so a reset follows.
   */
  #resetLater(): void {
    if (!this.#streamClosed && !this.#resetIsDue) {
      this.#resetIsDue = true;
      this.#deps.deadlines.set(this, GONE_LINGER_MS, () => this.#stream.reset());
    }
  }

  #abort(): void {
    this.#toTarget.clear();
    this.#toPeer.clear();
    this.#socket?.terminate();
    this.socketClosed();
  }

  #releaseWhenOver(): void {
    if (this.#streamClosed && this.#socketClosed && !this.#dialling && !this.#released) {
      this.#released = true;
      this.#deps.deadlines.clear(this);
      this.#deps.released();
    }
  }
}

/** One handler for all sockets: it finds the target of a socket in its `data`. */
const SOCKET_HANDLER = {
  open: (socket: Socket<TcpTarget>) => socket.data.opened(socket),
  data: (socket: Socket<TcpTarget>, bytes: Uint8Array) => socket.data.received(bytes),
  drain: (socket: Socket<TcpTarget>) => socket.data.flush(),
  end: (socket: Socket<TcpTarget>) => socket.data.targetEnded(),
  // Without an error it ended in an orderly way, perhaps without an `end` before.
  close: (socket: Socket<TcpTarget>, error?: Error) =>
    socket.data.socketClosed(error == null ? undefined : troubleOf(error)),
  error: (socket: Socket<TcpTarget>, error: Error) => socket.data.socketClosed(troubleOf(error)),
};
