/**
 * The header of a yamux frame: version, type, flags, stream, length; 12 bytes, big-endian
 * (hashicorp/yamux, spec.md). Only data frames have a body, of `length` bytes.
 */
export const FRAME_HEADER_BYTES = 12;

const VERSION = 0;

/** What a frame is. `length` means something else in each. */
export const FRAME_TYPE = {
  /** Length: bytes of the body. */
  data: 0,
  /** Length: bytes that the sender of this frame will take in addition. */
  windowUpdate: 1,
  /** Stream 0. Length: any number; the answer repeats it. */
  ping: 2,
  /** Stream 0. Length: one of GO_AWAY. */
  goAway: 3,
} as const;

/** Flags of data and window updates; of a ping, `syn` asks and `ack` answers. */
export const FRAME_FLAG = {
  /** Opens the stream. */
  syn: 1,
  /** Accepts it. */
  ack: 2,
  /** The sender sends no more data. */
  fin: 4,
  /** The stream is over, in both directions. */
  rst: 8,
} as const;

export const GO_AWAY = {
  /** No new streams; open ones go on. */
  normal: 0,
  protocolError: 1,
  internalError: 2,
} as const;

/** What each side may send on a new stream before the first window update, bytes. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;

/** The largest window, length and stream id: they are 32 bits, unsigned. */
export const UINT32_MAX = 0xffff_ffff;

export interface FrameHeader {
  type: number;
  flags: number;
  streamId: number;
  length: number;
}

/**
 * Reads a header at `at` into `header`, so that none is made for each frame.
 * @returns false when it is not one: another version, or a type that does not exist
 */
export function readFrameHeader(bytes: Uint8Array, at: number, header: FrameHeader): boolean {
  header.type = byteAt(bytes, at + 1);
  header.flags = (byteAt(bytes, at + 2) << 8) | byteAt(bytes, at + 3);
  header.streamId = uint32At(bytes, at + 4);
  header.length = uint32At(bytes, at + 8);
  return byteAt(bytes, at) === VERSION && header.type <= FRAME_TYPE.goAway;
}

/** Writes a header at `at`; `into` has room for it. */
export function writeFrameHeader(into: Uint8Array, at: number, header: FrameHeader): void {
  into[at] = VERSION;
  into[at + 1] = header.type;
  into[at + 2] = header.flags >>> 8;
  into[at + 3] = header.flags;
  writeUint32(into, at + 4, header.streamId);
  writeUint32(into, at + 8, header.length);
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (
    ((byteAt(bytes, at) << 24) |
      (byteAt(bytes, at + 1) << 16) |
      (byteAt(bytes, at + 2) << 8) |
      byteAt(bytes, at + 3)) >>>
    0
  );
}

function writeUint32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}
