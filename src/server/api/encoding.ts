/** What is sent instead of a body: nothing where the caller has it already, fewer bytes where it is long. */
import type { HeaderList } from '../../http1/head.ts';

/** Shorter answers are sent as they are: they fit into one packet. */
const COMPRESS_BYTES_MIN = 1_024;
/** gzip works at once, and must not hold the event loop: about 5 ms for this. */
const GZIP_BYTES_MAX = 512 * 1024;
const GZIP_LEVEL = 1;

export interface Encoded {
  readonly body: Buffer;
  /** Undefined: it is as it was. */
  readonly encoding: 'zstd' | 'gzip' | undefined;
}

/** By what the caller takes, zstd first. */
export async function encoded(body: Buffer<ArrayBuffer>, accept: string): Promise<Encoded> {
  if (body.length <= COMPRESS_BYTES_MIN) {
    return { body, encoding: undefined };
  }
  if (takes(accept, 'zstd')) {
    return { body: await Bun.zstdCompress(body), encoding: 'zstd' };
  }
  return body.length <= GZIP_BYTES_MAX && takes(accept, 'gzip')
    ? { body: Buffer.from(Bun.gzipSync(body, { level: GZIP_LEVEL }).buffer), encoding: 'gzip' }
    : { body, encoding: undefined };
}

/** Whether Accept-Encoding names it, and not with a quality of 0 (RFC 9110 section 12.5.3). */
function takes(accept: string, coding: string): boolean {
  return accept
    .toLowerCase()
    .split(',')
    .map((each) => each.split(';').map((part) => part.trim()))
    .some(
      ([name, ...params]) => name === coding && !params.some((each) => /^q=0(\.0*)?$/.test(each)),
    );
}

/** A tag of exactly these bytes, before they are compressed: so it is a weak one. */
export function entityTag(body: Buffer<ArrayBuffer>): string {
  return `W/"${Bun.hash(body).toString(36)}"`;
}

/** Whether If-None-Match names the tag (RFC 9110 section 13.1.2). */
export function isKnown(tag: string, headers: HeaderList): boolean {
  return headers
    .filter(([name]) => name.toLowerCase() === 'if-none-match')
    .flatMap(([, value]) => value.split(','))
    .some((each) => each.trim() === tag || each.trim() === '*');
}
