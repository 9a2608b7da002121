/**
 * The beginning and the end of an output say most. What does not fit is left out of the middle, and
 * a mark says so. The text is cut first and redacted then: an output has any length, and only what
 * is shown should cost time. A secret that the cut divides stays hidden, because more text than is
 * shown is searched on either side.
 */
import { redact } from './redact.ts';

export interface CutText {
  readonly text: string;
  readonly truncated: boolean;
}

/** Bytes beyond a cut that are searched too: more than any usual secret has. */
const MARGIN_BYTES = 32 * 1024;
/** What the decoder makes of the bytes of a character that was cut in two. */
const BROKEN_END = /\ufffd{1,3}$/;
const BROKEN_START = /^\ufffd{1,3}/;

/** Takes an output piece by piece and never holds more than its limit and what is looked at beyond it. */
export interface MiddleCut {
  /** The bytes are copied. */
  add(bytes: Uint8Array): void;
  /** Whether anything came at all. */
  isEmpty(): boolean;
  /** At most the limit, in bytes of UTF-8, redacted, with the mark of what was left out. */
  result(): CutText;
}

/** @param secrets see `redact` */
export function middleCut(limitBytes: number, secrets: readonly string[] = []): MiddleCut {
  const headLimit = Math.floor(limitBytes / 2) + MARGIN_BYTES;
  const tailLimit = limitBytes - Math.floor(limitBytes / 2) + MARGIN_BYTES;
  // Both are made when they are needed: most outputs are short.
  let head: Buffer | undefined;
  let headBytes = 0;
  let ring: Buffer | undefined;
  let tailBytes = 0;

  const addToHead = (bytes: Uint8Array) => {
    head ??= Buffer.allocUnsafe(headLimit);
    head.set(bytes, headBytes);
    headBytes += bytes.length;
  };
  const addToTail = (bytes: Uint8Array) => {
    ring ??= Buffer.allocUnsafe(tailLimit);
    const newest = bytes.subarray(Math.max(0, bytes.length - tailLimit));
    const at = (tailBytes + bytes.length - newest.length) % tailLimit;
    const beforeEdge = Math.min(newest.length, tailLimit - at);
    ring.set(newest.subarray(0, beforeEdge), at);
    ring.set(newest.subarray(beforeEdge), 0);
    tailBytes += bytes.length;
  };
  const tail = (): Buffer => {
    if (ring === undefined || tailBytes <= tailLimit) {
      return ring?.subarray(0, tailBytes) ?? Buffer.alloc(0);
    }
    const oldest = tailBytes % tailLimit;
    return Buffer.concat([ring.subarray(oldest), ring.subarray(0, oldest)]);
  };

  return {
    add: (bytes) => {
      const room = headLimit - headBytes;
      if (room > 0) {
        addToHead(bytes.subarray(0, room));
      }
      if (bytes.length > room) {
        addToTail(bytes.subarray(room));
      }
    },
    isEmpty: () => headBytes + tailBytes === 0,
    result: () => {
      const beginning = head?.subarray(0, headBytes) ?? Buffer.alloc(0);
      const wholeBytes = headBytes + tailBytes;
      return tailBytes <= tailLimit
        ? redactedWhole(Buffer.concat([beginning, tail()]), limitBytes, secrets)
        : redactedEnds({ beginning, end: tail(), wholeBytes }, limitBytes, secrets);
    },
  };
}

/** The same for a text that is already whole. */
export function cutInTheMiddle(
  text: string,
  limitBytes: number,
  secrets: readonly string[] = [],
): CutText {
  const cut = middleCut(limitBytes, secrets);
  cut.add(Buffer.from(text));
  return cut.result();
}

/** The beginning of a text, without its secrets. @param lengthMax characters; @param secrets see `redact` */
export function redactedStart(
  text: string,
  lengthMax: number,
  secrets: readonly string[] = [],
): string {
  const seen = redact(text.slice(0, lengthMax + MARGIN_BYTES), secrets);
  // The very end of what was searched may be part of a secret.
  const sure = text.length > lengthMax + MARGIN_BYTES ? seen.slice(0, -MARGIN_BYTES) : seen;
  return sure.slice(0, lengthMax);
}

interface Ends {
  readonly beginning: Buffer;
  readonly end: Buffer;
  readonly wholeBytes: number;
}

function redactedWhole(bytes: Buffer, limitBytes: number, secrets: readonly string[]): CutText {
  const text = redact(bytes.toString('utf8'), secrets);
  const redacted = Buffer.from(text);
  const ends = { beginning: redacted, end: redacted, wholeBytes: redacted.length };
  return redacted.length <= limitBytes ? { text, truncated: false } : joined(ends, limitBytes);
}

/** The edges next to text that was not searched may be parts of secrets: they are left out. */
function redactedEnds(ends: Ends, limitBytes: number, secrets: readonly string[]): CutText {
  const beginning = Buffer.from(redact(ends.beginning.toString('utf8'), secrets));
  const end = Buffer.from(redact(ends.end.toString('utf8'), secrets));
  return joined(
    {
      beginning: beginning.subarray(0, Math.max(beginning.length - MARGIN_BYTES, 0)),
      end: end.subarray(MARGIN_BYTES),
      wholeBytes: ends.wholeBytes,
    },
    limitBytes,
  );
}

function joined({ beginning, end, wholeBytes }: Ends, limitBytes: number): CutText {
  const mark = `\n[… ${wholeBytes - limitBytes} bytes or more left out …]\n`;
  const half = Math.max(Math.floor((limitBytes - Buffer.byteLength(mark)) / 2), 0);
  const first = beginning.subarray(0, half).toString('utf8').replace(BROKEN_END, '');
  const lastAt = Math.max(end.length - half, 0);
  const last = end.subarray(lastAt).toString('utf8').replace(BROKEN_START, '');
  return { text: `${first}${mark}${last}`, truncated: true };
}
