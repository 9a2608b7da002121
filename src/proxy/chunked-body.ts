/** A request body whose length nobody announced (RFC 9112 section 7.1). */
import type { Exchange } from './upstream-connection.ts';

/** Chunks up to this size are copied into one write with their framing, bytes. */
const COPIED_CHUNK_BYTES_MAX = 16 * 1024;

export const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const CRLF = Buffer.from('\r\n');

/** @returns false when the caller must wait for `drained` */
export function writeChunk(exchange: Exchange, chunk: Uint8Array): boolean {
  const size = Buffer.from(`${chunk.length.toString(16)}\r\n`);
  if (chunk.length <= COPIED_CHUNK_BYTES_MAX) {
    return exchange.write(Buffer.concat([size, chunk, CRLF]));
  }
  exchange.write(size);
  exchange.write(chunk);
  return exchange.write(CRLF);
}
