/** A body whose length nobody announced (RFC 9112 section 7.1). */
import { encodeLines, type HeaderList } from './head.ts';

/** Chunks up to this size are copied into one write with their framing, bytes. */
const COPIED_CHUNK_BYTES_MAX = 16 * 1024;

export const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const CRLF = Buffer.from('\r\n');

interface Writer {
  /** @returns false when the caller must wait */
  write(bytes: Uint8Array): boolean;
}

/** @returns false when the caller must wait */
export function writeChunk(to: Writer, chunk: Uint8Array): boolean {
  const size = Buffer.from(`${chunk.length.toString(16)}\r\n`);
  if (chunk.length <= COPIED_CHUNK_BYTES_MAX) {
    return to.write(Buffer.concat([size, chunk, CRLF]));
  }
  to.write(size);
  to.write(chunk);
  return to.write(CRLF);
}

/** The last chunk, with the fields that come after a body (RFC 9112 section 7.1.2). */
export function lastChunk(trailers: HeaderList): Buffer {
  return trailers.length === 0 ? LAST_CHUNK : encodeLines('0', trailers);
}
