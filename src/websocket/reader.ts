import {
  CONTROL_BYTES_MAX,
  MESSAGE_TOO_BIG,
  OPCODES,
  PROTOCOL_ERROR,
  type WebSocketFrame,
} from './frame.ts';

interface BegunFrame {
  readonly frame: WebSocketFrame;
  readonly mask: Buffer | undefined;
  filledBytes: number;
}

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: WebSocketFrame }
  | { readonly kind: 'incomplete' }
  /** `code`: the code to close the connection with. */
  | { readonly kind: 'invalid'; readonly code: number; readonly reason: string };

/** Whose frames are read: those of a client are masked, those of a server never. */
type Sender = 'server' | 'client';

interface FrameHead {
  readonly opcode: number;
  readonly final: boolean;
  /** Undefined where it is not masked. */
  readonly mask: Buffer | undefined;
  readonly headBytes: number;
  readonly payloadBytes: number;
}

const INCOMPLETE: ReadFrame = { kind: 'incomplete' };
const NOTHING = Buffer.alloc(0);
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

/** Reads frames from bytes as they come; one of a server within one chunk is not copied. */
export class WebSocketReader {
  readonly #payloadBytesMax: number;
  #bytes: Buffer = NOTHING;
  /** A frame whose end has not come yet. */
  #begun: BegunFrame | undefined;
  readonly #sender: Sender;

  constructor(payloadBytesMax: number, sender: Sender = 'server') {
    this.#payloadBytesMax = payloadBytesMax;
    this.#sender = sender;
  }

  /** To be called when `next` has said "incomplete"; the chunk may be reused when it says so again. */
  feed(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  next(): ReadFrame {
    if (this.#begun !== undefined) {
      return this.#fill(this.#begun);
    }
    const head = readHead(this.#bytes, this.#payloadBytesMax, this.#sender);
    if ('kind' in head) {
      this.#bytes = Buffer.from(this.#bytes); // A few: less than a head.
      return head;
    }
    const { opcode, final, mask, headBytes, payloadBytes } = head;
    const end = headBytes + payloadBytes;
    if (this.#bytes.length >= end) {
      const payload = unmasked(this.#bytes.subarray(headBytes, end), mask);
      this.#bytes = this.#bytes.subarray(end);
      return { kind: 'frame', frame: { opcode, final, payload } };
    }
    this.#bytes = this.#bytes.subarray(headBytes);
    const frame = { opcode, final, payload: Buffer.allocUnsafe(payloadBytes) };
    return this.#fill({ frame, mask, filledBytes: 0 });
  }

  /** Whether a frame has begun whose end has not come yet. */
  isWithinFrame(): boolean {
    return this.#begun !== undefined;
  }

  #fill(begun: BegunFrame): ReadFrame {
    const { frame, mask } = begun;
    const { payload } = frame;
    const taken = this.#bytes.copy(payload, begun.filledBytes);
    this.#bytes = this.#bytes.subarray(taken);
    begun.filledBytes += taken;
    const whole = begun.filledBytes === payload.length;
    this.#begun = whole ? undefined : begun;
    return whole
      ? { kind: 'frame', frame: { ...frame, payload: unmasked(payload, mask) } }
      : INCOMPLETE;
  }
}

/** Sets the bytes free in place, where they are masked. */
function unmasked(payload: Buffer, mask: Buffer | undefined): Buffer {
  if (mask !== undefined) {
    for (let at = 0; at < payload.length; at += 1) {
      payload[at] = (payload[at] ?? 0) ^ (mask[at % MASK_BYTES] ?? 0);
    }
  }
  return payload;
}

function readHead(bytes: Buffer, payloadBytesMax: number, sender: Sender): FrameHead | ReadFrame {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) {
    return INCOMPLETE;
  }
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
    return invalid('a frame of an extension that was not agreed on');
  }
  const isMasked = (second & 0x80) !== 0;
  if (isMasked !== (sender === 'client')) {
    return invalid(isMasked ? 'a masked frame of a server' : 'a frame of a client without mask');
  }
  const short = second & 0x7f;
  if (opcode >= OPCODES.close && (short > CONTROL_BYTES_MAX || !final)) {
    return invalid('a control frame that is too long or in pieces');
  }
  const lengthBytes = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
  const headBytes = 2 + lengthBytes + (isMasked ? MASK_BYTES : 0);
  if (bytes.length < headBytes) {
    return INCOMPLETE;
  }
  const payloadBytes =
    short === LENGTH_16
      ? bytes.readUInt16BE(2)
      : short === LENGTH_64
        ? Number(bytes.readBigUInt64BE(2))
        : short;
  // A copy: the bytes before the payload may be gone when that is whole.
  const mask = isMasked
    ? Buffer.from(bytes.subarray(headBytes - MASK_BYTES, headBytes))
    : undefined;
  return payloadBytes > payloadBytesMax
    ? { kind: 'invalid', code: MESSAGE_TOO_BIG, reason: 'a frame that is too long' }
    : { opcode, final, mask, headBytes, payloadBytes };
}

function invalid(reason: string): ReadFrame {
  return { kind: 'invalid', code: PROTOCOL_ERROR, reason };
}
