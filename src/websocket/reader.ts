import {
  CONTROL_BYTES_MAX,
  MESSAGE_TOO_BIG,
  OPCODES,
  PROTOCOL_ERROR,
  type WebSocketFrame,
} from './frame.ts';

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: WebSocketFrame }
  | { readonly kind: 'incomplete' }
  /** `code`: the code to close the connection with. */
  | { readonly kind: 'invalid'; readonly code: number; readonly reason: string };

interface FrameHead {
  readonly opcode: number;
  readonly final: boolean;
  readonly headBytes: number;
  readonly payloadBytes: number;
}

const INCOMPLETE: ReadFrame = { kind: 'incomplete' };
const NOTHING = Buffer.alloc(0);
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Reads the frames of a server from bytes as they come; a frame within one chunk is not copied. */
export class WebSocketReader {
  readonly #payloadBytesMax: number;
  #bytes: Buffer = NOTHING;
  /** A frame whose end has not come yet. */
  #begun: { readonly frame: WebSocketFrame; filledBytes: number } | undefined;

  constructor(payloadBytesMax: number) {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** To be called when `next` has said "incomplete"; the chunk may be reused when it says so again. */
  feed(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  next(): ReadFrame {
    if (this.#begun !== undefined) {
      return this.#fill(this.#begun);
    }
    const head = readHead(this.#bytes, this.#payloadBytesMax);
    if ('kind' in head) {
      this.#bytes = Buffer.from(this.#bytes); // A few: less than a head.
      return head;
    }
    const { opcode, final, headBytes, payloadBytes } = head;
    const end = headBytes + payloadBytes;
    if (this.#bytes.length >= end) {
      const payload = this.#bytes.subarray(headBytes, end);
      this.#bytes = this.#bytes.subarray(end);
      return { kind: 'frame', frame: { opcode, final, payload } };
    }
    this.#bytes = this.#bytes.subarray(headBytes);
    const frame = { opcode, final, payload: Buffer.allocUnsafe(payloadBytes) };
    return this.#fill({ frame, filledBytes: 0 });
  }

  /** Whether a frame has begun whose end has not come yet. */
  isWithinFrame(): boolean {
    return this.#begun !== undefined;
  }

  #fill(begun: { readonly frame: WebSocketFrame; filledBytes: number }): ReadFrame {
    const { payload } = begun.frame;
    const taken = this.#bytes.copy(payload, begun.filledBytes);
    this.#bytes = this.#bytes.subarray(taken);
    begun.filledBytes += taken;
    const whole = begun.filledBytes === payload.length;
    this.#begun = whole ? undefined : begun;
    return whole ? { kind: 'frame', frame: begun.frame } : INCOMPLETE;
  }
}

function readHead(bytes: Buffer, payloadBytesMax: number): FrameHead | ReadFrame {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) {
    return INCOMPLETE;
  }
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
    return invalid('a frame of an extension that was not agreed on');
  }
  if ((second & 0x80) !== 0) {
    return invalid('a masked frame of a server');
  }
  const short = second & 0x7f;
  if (opcode >= OPCODES.close && (short > CONTROL_BYTES_MAX || !final)) {
    return invalid('a control frame that is too long or in pieces');
  }
  const headBytes = 2 + (short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0);
  if (bytes.length < headBytes) {
    return INCOMPLETE;
  }
  const payloadBytes =
    short === LENGTH_16
      ? bytes.readUInt16BE(2)
      : short === LENGTH_64
        ? Number(bytes.readBigUInt64BE(2))
        : short;
  return payloadBytes > payloadBytesMax
    ? { kind: 'invalid', code: MESSAGE_TOO_BIG, reason: 'a frame that is too long' }
    : { opcode, final, headBytes, payloadBytes };
}

function invalid(reason: string): ReadFrame {
  return { kind: 'invalid', code: PROTOCOL_ERROR, reason };
}
