import { FRAME_FLAG, FRAME_TYPE, INITIAL_WINDOW_BYTES, UINT32_MAX } from './frame.ts';
import type { FrameOutput, Sender } from './frame-output.ts';
import { ReceiveWindow, type WindowShare } from './receive-window.ts';

/** ended: both halves, in order. reset: by either side. session: it went down with its session. */
export type StreamEnd = 'ended' | 'reset' | 'session';

/** What a stream is connected to. Called from within the stream's own methods too. */
export interface StreamHandler {
  /** Bytes of the peer: to copy or use now. Give them back with `consumed`, sooner or later. */
  data(bytes: Uint8Array): void;
  /** The peer sends no more. */
  ended(): void;
  /** `write` takes more now. */
  writable(): void;
  /**
   * Both directions are over, and nothing is called any more, except that `reset` may follow
   * `ended`: then drop the bytes that came and still wait. Bytes are still given back only after
   * `ended`.
   */
  closed(end: StreamEnd): void;
}

/** What a stream needs of its session. */
export interface StreamOwner {
  readonly output: FrameOutput;
  readonly windows: WindowShare;
  /** The stream is over for the peer too. */
  forget(stream: YamuxStream): void;
  /** The bytes that came and are not given back have changed by this much. */
  held(stream: YamuxStream, change: number): void;
}

/** Larger frames would only make others wait. */
const FRAME_BYTES_MAX = 256 * 1024;

/** One stream: two directions, each with its window and its end. */
export class YamuxStream implements Sender {
  readonly id: number;
  /** Replaced when it is known what the stream is for. */
  handler: StreamHandler;
  readonly urgent = { round: -1, bytesLeft: 0 };
  /** Whether the peer has accepted it; a stream that the peer opened always is. */
  accepted: boolean;
  readonly #owner: StreamOwner;
  readonly #receiveWindow: ReceiveWindow;
  #sendCredit = INITIAL_WINDOW_BYTES;
  #heldBytes = 0;
  /** `write` took less than all: the handler waits. */
  #wantsToWrite = false;
  #localEnded = false;
  #remoteEnded = false;
  #closed = false;

  constructor(owner: StreamOwner, id: number, accepted: boolean, handler: StreamHandler) {
    this.#owner = owner;
    this.#receiveWindow = new ReceiveWindow(owner.windows);
    this.id = id;
    this.accepted = accepted;
    this.handler = handler;
  }

  /** Bytes that the handler has and has not given back. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What `write` would take now, as far as the peer's window goes. */
  get sendCreditBytes(): number {
    return this.#localEnded || this.#closed ? 0 : this.#sendCredit;
  }

  /**
   * Sends as much as windows and fairness allow. The bytes may be reused afterwards.
   * @returns how many it took; when not all, `writable` is called later
   */
  write(bytes: Uint8Array): number {
    if (this.#localEnded || this.#closed) {
      return 0;
    }
    let sent = 0;
    while (sent < bytes.length) {
      const left = bytes.length - sent;
      const wanted = Math.min(left, this.#sendCredit, FRAME_BYTES_MAX);
      const taken = wanted === 0 ? 0 : this.#owner.output.admit(this, wanted, wanted === left);
      if (taken === 0) {
        this.#wantsToWrite = true;
        return sent;
      }
      this.#sendCredit -= taken;
      const whole = sent === 0 && taken === bytes.length;
      this.#owner.output.data(this.id, whole ? bytes : bytes.subarray(sent, sent + taken));
      sent += taken;
    }
    return sent;
  }

  /** Sends no more; the peer may. */
  end(): void {
    if (this.#localEnded || this.#closed) {
      return;
    }
    this.#localEnded = true;
    this.#owner.output.leave(this);
    this.#owner.output.control(FRAME_TYPE.windowUpdate, FRAME_FLAG.fin, this.id, 0);
    this.#closeWhenBothEnded();
  }

  /** Ends both directions at once; what is under way is lost. */
  reset(): void {
    if (!this.#closed) {
      this.#owner.output.control(FRAME_TYPE.windowUpdate, FRAME_FLAG.rst, this.id, 0);
      this.close('reset');
    } else if (this.#heldBytes > 0) {
      this.#hold(-this.#heldBytes);
      this.handler.closed('reset');
    }
  }

  /** Gives back bytes of `data` that have left this process: the peer may send as many again. */
  consumed(bytes: number): void {
    this.#hold(-Math.min(bytes, this.#heldBytes));
    if (this.#closed || this.#remoteEnded) {
      return;
    }
    const credit = this.#receiveWindow.used(bytes);
    if (credit > 0) {
      this.#owner.output.credit(this.id, credit);
    }
  }

  // --- For the session ---

  /** A data frame begins. @returns false when the peer sent more than it may */
  arrives(bytes: number): boolean {
    return this.#receiveWindow.arrived(bytes);
  }

  /** A piece of its body. */
  body(piece: Uint8Array): void {
    if (this.#closed) {
      return;
    }
    if (this.#remoteEnded) {
      this.reset(); // It had said that no more would come.
      return;
    }
    this.#hold(piece.length);
    this.handler.data(piece);
  }

  /** @returns false when the window would exceed the largest number of the protocol */
  credit(bytes: number): boolean {
    this.#sendCredit += bytes;
    if (this.#sendCredit > UINT32_MAX) {
      return false;
    }
    if (bytes > 0 && this.#wantsToWrite) {
      this.writable();
    }
    return true;
  }

  remoteEnd(): void {
    if (this.#remoteEnded || this.#closed) {
      return;
    }
    this.#remoteEnded = true;
    this.handler.ended();
    this.#closeWhenBothEnded();
  }

  /** Called by the output: it has its turn. */
  writable(): void {
    this.#wantsToWrite = false;
    if (!this.#closed && !this.#localEnded) {
      this.handler.writable();
    }
  }

  close(end: StreamEnd): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#owner.output.leave(this);
    this.#receiveWindow.close();
    this.#owner.forget(this);
    if (end !== 'ended') {
      this.#hold(-this.#heldBytes);
    }
    this.handler.closed(end);
  }

  #closeWhenBothEnded(): void {
    if (this.#localEnded && this.#remoteEnded) {
      this.close('ended');
    }
  }

  #hold(change: number): void {
    this.#heldBytes += change;
    this.#owner.held(this, change);
  }
}
