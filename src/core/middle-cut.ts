/** Beginning and end of an output say most: what does not fit is left out between them, and said. */

export interface CutText {
  readonly text: string;
  readonly truncated: boolean;
}

/** Takes an output piece by piece and never holds more than its limit. */
export interface MiddleCut {
  /** The bytes are copied. */
  add(bytes: Uint8Array): void;
  /** Whether anything came at all. */
  isEmpty(): boolean;
  /** At most the limit, in bytes of UTF-8, with the mark of what was left out. */
  result(): CutText;
}

export function middleCut(limitBytes: number): MiddleCut {
  const headLimit = Math.floor(limitBytes / 2);
  const tailLimit = limitBytes - headLimit;
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
      return joined(beginning, tail(), headBytes + tailBytes, limitBytes);
    },
  };
}

/** The same for a text that is there as a whole. */
export function cutInTheMiddle(text: string, limitBytes: number): CutText {
  const bytes = Buffer.from(text);
  return bytes.length <= limitBytes
    ? { text, truncated: false }
    : joined(bytes, bytes, bytes.length, limitBytes);
}

function joined(head: Buffer, tail: Buffer, wholeBytes: number, limitBytes: number): CutText {
  if (wholeBytes <= limitBytes) {
    return { text: Buffer.concat([head, tail]).toString('utf8'), truncated: false };
  }
  const mark = `\n[… ${wholeBytes - limitBytes} bytes or more left out …]\n`;
  const half = Math.floor((limitBytes - Buffer.byteLength(mark)) / 2);
  // A character may be cut in two at the borders: its rest becomes U+FFFD, never invalid UTF-8.
  const beginning = head
    .subarray(0, half)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  const end = tail
    .subarray(tail.length - half)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
  return { text: `${beginning}${mark}${end}`, truncated: true };
}
