/** Larger chunks are passed on as they are, bytes. */
const SMALL_CHUNK_BYTES_MAX = 16 * 1024;
/** Digits of its size. */
const SIZE_DIGITS_MAX = 4;
const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;
const BREAK_BYTES = 2;

export interface JoinedChunks {
  readonly data: Buffer;
  /** Where in the bytes the next chunk begins. */
  readonly end: number;
}

/**
 * The data of all small chunks that lie whole in `bytes`, one behind the other (RFC 9112 section 7.1):
 * events of watches, or a body that somebody cut very fine. Each costs next to nothing then, and all of
 * them leave together. Everything that is not plain is left to a closer look: extensions, the last chunk,
 * what is not whole or wrong.
 * @param from where a chunk begins
 * @returns undefined when there is no such chunk
 */
export function joinSmallChunks(bytes: Buffer, from: number): JoinedChunks | undefined {
  let data: Buffer | undefined;
  let joinedBytes = 0;
  let room: Buffer | undefined;
  let end = from;
  for (;;) {
    let at = end;
    let size = 0;
    for (let digit = digitOf(bytes[at]); digit >= 0; digit = digitOf(bytes[at])) {
      size = size * 16 + digit;
      at += 1;
      if (at - end > SIZE_DIGITS_MAX) {
        break;
      }
    }
    const dataAt = at + BREAK_BYTES;
    const dataEnd = dataAt + size;
    const isPlain =
      at > end &&
      size > 0 &&
      size <= SMALL_CHUNK_BYTES_MAX &&
      isBreak(bytes, at) &&
      isBreak(bytes, dataEnd);
    if (!isPlain) {
      const joined = room === undefined ? data : room.subarray(0, joinedBytes);
      return joined === undefined ? undefined : { data: joined, end };
    }
    if (data === undefined) {
      data = bytes.subarray(dataAt, dataEnd); // A single one is not copied.
    } else {
      if (room === undefined) {
        room = Buffer.allocUnsafe(data.length + bytes.length - end);
        room.set(data);
      }
      bytes.copy(room, joinedBytes, dataAt, dataEnd);
    }
    joinedBytes += size;
    end = dataEnd + BREAK_BYTES;
  }
}

function isBreak(bytes: Buffer, at: number): boolean {
  return bytes[at] === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED;
}

/** @returns -1 for anything but a hexadecimal digit, and behind the end */
function digitOf(byte: number | undefined): number {
  if (byte === undefined) {
    return -1;
  }
  if (byte >= 0x30 && byte <= 0x39) {
    return byte - 0x30;
  }
  const letter = byte | 0x20; // Lower case.
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
