import type { Clock, RunSoon } from '../core/ports.ts';
import { FRAME_FLAG, FRAME_TYPE, type FrameHeader, GO_AWAY } from './frame.ts';
import { type ByteTransport, FrameOutput } from './frame-output.ts';
import { FrameParser, type FrameSink } from './frame-parser.ts';
import { HeldBytes } from './held-bytes.ts';
import { type KeepAliveOptions, keepAlive } from './keep-alive.ts';
import { type WindowShare, windowShare } from './receive-window.ts';
import { type StreamHandler, type StreamOwner, YamuxStream } from './stream.ts';
import { TurnEnd } from './turn-end.ts';

/**
 * Bytes that came and wait for slow targets, in all streams together. The windows of many streams
 * add up to more; then the stream that holds most is reset.
 */
export const HELD_BYTES_MAX = 16 * 1024 * 1024;

/** Own streams that the peer has not accepted yet: hashicorp/yamux takes no more. */
const BACKLOG_MAX = 256;

export interface YamuxSessionOptions extends KeepAliveOptions {
  /** The client's streams have odd ids, the server's even ones. The agent is the client. */
  readonly role: 'client' | 'server';
  /** Largest window that a stream of ours may grow to, bytes. */
  readonly windowLimitBytes: number;
}

export interface YamuxSessionDeps {
  readonly clock: Clock;
  readonly runSoon: RunSoon;
  readonly transport: ByteTransport;
  /** A new stream of the peer. Undefined refuses it: how many there may be is decided here. */
  readonly accept: (stream: YamuxStream) => StreamHandler | undefined;
  /** The session is over, by itself: the connection should be closed. */
  readonly ended: (reason: string) => void;
}

/** One yamux connection, either side of it. */
export class YamuxSession implements StreamOwner, FrameSink {
  readonly output: FrameOutput;
  readonly windows: WindowShare;
  readonly #deps: YamuxSessionDeps;
  readonly #options: YamuxSessionOptions;
  readonly #parser = new FrameParser(this);
  readonly #streams = new Map<number, YamuxStream>();
  readonly #held = new HeldBytes<YamuxStream>();
  readonly #turnEnd: TurnEnd;
  /** The stream whose frame body is coming; undefined when the body belongs to no stream. */
  #bodyStream: YamuxStream | undefined;
  #bodyEndsStream = false;
  #nextId: number;
  #unaccepted = 0;
  #goingAway = false;
  #peerGoesAway = false;
  #closed = false;

  constructor(deps: YamuxSessionDeps, options: YamuxSessionOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#turnEnd = new TurnEnd(deps, () => this.output.turnEnded());
    this.output = new FrameOutput(
      deps,
      () => this.#turnEnd.request(),
      (reason) => this.#failSoon(reason),
    );
    this.windows = windowShare(
      options.windowLimitBytes,
      () => this.output.inFlight.shortestRoundTripMs,
      () => deps.clock.monotonic(),
    );
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Bytes that came and wait for their targets. */
  get heldBytes(): number {
    return this.#held.total;
  }

  /** Keeps it alive, and ends it when the peer is gone, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const deps = { clock: this.#deps.clock, inFlight: this.output.inFlight };
    if (!(await keepAlive(deps, this.#options, signal))) {
      this.#fail('the peer answers no ping');
    }
  }

  /** Bytes of the connection, in order. They may be reused afterwards. */
  receive(message: Uint8Array): void {
    this.#parser.push(message);
  }

  /** Opens a stream. Undefined when the peer takes none, or too many wait for it. */
  open(handler: StreamHandler): YamuxStream | undefined {
    const isFull = this.#unaccepted >= BACKLOG_MAX || this.#nextId > 0xffff_ffff;
    if (this.#closed || this.#goingAway || this.#peerGoesAway || isFull) {
      return undefined;
    }
    const stream = new YamuxStream(this, this.#nextId, false, handler);
    this.#nextId += 2;
    this.#unaccepted += 1;
    this.#streams.set(stream.id, stream);
    this.output.control(FRAME_TYPE.windowUpdate, FRAME_FLAG.syn, stream.id, 0);
    return stream;
  }

  /** Takes no new streams; open ones go on. */
  goAway(): void {
    if (!this.#goingAway && !this.#closed) {
      this.#goingAway = true;
      this.output.control(FRAME_TYPE.goAway, 0, 0, GO_AWAY.normal);
    }
  }

  /** Ends every stream; sends nothing more. */
  close(): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#parser.stop();
    this.output.close();
    for (const stream of [...this.#streams.values()]) {
      stream.close('session');
    }
  }

  /** Runs work once, after all that came in this turn of the event loop, before what it sends. */
  atTurnEnd(task: () => void): void {
    this.#turnEnd.add(task);
  }

  // --- For its streams ---

  forget(stream: YamuxStream): void {
    this.#streams.delete(stream.id);
    this.#settle(stream);
    if (this.#bodyStream === stream) {
      this.#bodyStream = undefined;
    }
  }

  held(stream: YamuxStream, change: number): void {
    this.#held.changed(stream, change);
  }

  // --- For the parser ---

  frame(header: FrameHeader): void {
    switch (header.type) {
      case FRAME_TYPE.ping:
        this.#ping(header);
        break;
      case FRAME_TYPE.goAway:
        this.#peerGoesAway = true;
        if (header.length !== GO_AWAY.normal) {
          this.#fail(`the peer goes away with code ${header.length}`);
        }
        break;
      default:
        this.#streamFrame(header);
    }
  }

  body(piece: Uint8Array, last: boolean): void {
    const stream = this.#bodyStream;
    if (stream === undefined) {
      return;
    }
    stream.body(piece);
    if (this.#held.total > HELD_BYTES_MAX) {
      this.#held.largest()?.reset();
    }
    if (last) {
      this.#bodyStream = undefined;
      if (this.#bodyEndsStream) {
        stream.remoteEnd();
      }
    }
  }

  notAFrame(): void {
    this.#protocolError('what came is no frame of yamux');
  }

  #ping(header: FrameHeader): void {
    if ((header.flags & FRAME_FLAG.syn) !== 0) {
      this.output.control(FRAME_TYPE.ping, FRAME_FLAG.ack, 0, header.length);
    } else if ((header.flags & FRAME_FLAG.ack) !== 0) {
      this.output.pong(header.length);
    }
  }

  /** Frames of unknown streams are ignored: they were under way when the stream ended. */
  #streamFrame({ type, flags, streamId, length }: FrameHeader): void {
    if ((flags & FRAME_FLAG.syn) !== 0 && !this.#accept(streamId)) {
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      return;
    }
    if ((flags & FRAME_FLAG.ack) !== 0) {
      this.#settle(stream);
    }
    if ((flags & FRAME_FLAG.rst) !== 0) {
      stream.close('reset');
      return;
    }
    const ends = (flags & FRAME_FLAG.fin) !== 0;
    if (type === FRAME_TYPE.data && length > 0) {
      if (!stream.arrives(length)) {
        this.#protocolError(`stream ${streamId} was sent more than its window`);
        return;
      }
      this.#bodyStream = stream;
      this.#bodyEndsStream = ends;
      return;
    }
    if (type === FRAME_TYPE.windowUpdate && !stream.credit(length)) {
      this.#protocolError(`the window of stream ${streamId} overflows`);
      return;
    }
    if (ends) {
      stream.remoteEnd();
    }
  }

  /**
   * A new stream of the peer. A refused one is accepted first: a RST alone would count for ever
   * against the backlog of hashicorp/yamux.
   * @returns whether the session goes on
   */
  #accept(streamId: number): boolean {
    const isOfPeer = streamId % 2 === (this.#options.role === 'client' ? 0 : 1);
    if (streamId === 0 || !isOfPeer || this.#streams.has(streamId)) {
      this.#protocolError(`stream ${streamId} cannot be opened`);
      return false;
    }
    this.output.control(FRAME_TYPE.windowUpdate, FRAME_FLAG.ack, streamId, 0);
    const stream = new YamuxStream(this, streamId, true, NO_HANDLER);
    this.#streams.set(streamId, stream);
    const handler = this.#goingAway ? undefined : this.#deps.accept(stream);
    if (handler === undefined) {
      stream.reset();
    } else {
      stream.handler = handler;
    }
    return true;
  }

  /** The peer has answered, or never will. */
  #settle(stream: YamuxStream): void {
    if (!stream.accepted) {
      stream.accepted = true;
      this.#unaccepted -= 1;
    }
  }

  #protocolError(reason: string): void {
    if (!this.#closed) {
      this.output.control(FRAME_TYPE.goAway, 0, 0, GO_AWAY.protocolError);
      this.output.flush();
      this.#fail(reason);
    }
  }

  #fail(reason: string): void {
    if (!this.#closed) {
      this.close();
      this.#deps.ended(reason);
    }
  }

  /** The output fails in the middle of what someone else does. */
  #failSoon(reason: string): void {
    this.#deps.runSoon(() => this.#fail(reason));
  }
}

/** For a stream that is about to be refused or given its own handler. */
const NO_HANDLER: StreamHandler = {
  data: () => undefined,
  ended: () => undefined,
  writable: () => undefined,
  closed: () => undefined,
};
