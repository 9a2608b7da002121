/**
 * Large answers as the existing agent sends them where no yamux runs: one binary message of u16 length of
 * the request's id, the id, u32 status, u32 length of the headers' JSON, the headers, the body.
 */
import { gunzipSync } from 'node:zlib';
import * as z from 'zod';

const Headers = z.record(z.string(), z.array(z.string())).nullable();
export type AnswerHeaders = Readonly<Record<string, readonly string[]>>;

export interface BinaryAnswer {
  readonly id: string;
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Buffer;
}

/** What that agent compresses: texts, by their type. */
const COMPRESSED_TYPES = /text\/|json|javascript|xml|html|yaml/i;
const UNCOMPRESSED_TYPES = /gzip|compress|zip|image\/|video\/|audio\//i;
const GZIP_MAGIC = 0x1f8b;

/** @throws Error that says what cannot be read */
export function readBinaryAnswer(message: Uint8Array): BinaryAnswer {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) {
      throw new Error('a binary answer is shorter than it says');
    }
    at += length;
    return bytes.subarray(at - length, at);
  };
  const id = take(take(2).readUInt16BE()).toString('utf8');
  const status = take(4).readUInt32BE();
  const headers = Headers.parse(JSON.parse(take(take(4).readUInt32BE()).toString('utf8'))) ?? {};
  const body = plainBody(headers, Buffer.from(bytes.subarray(at)));
  return { id, status, headers, body };
}

/** Nothing but the first bytes says that a body was compressed on its way; one may also be a gzip file itself. */
function plainBody(headers: AnswerHeaders, body: Buffer): Buffer {
  const headerOf = (wanted: string) =>
    Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1][0] ?? '';
  const type = headerOf('content-type');
  if (!isGzip(body) || !COMPRESSED_TYPES.test(type) || UNCOMPRESSED_TYPES.test(type)) {
    return body;
  }
  const plain = gunzipSync(body);
  return headerOf('content-encoding') === '' || isGzip(plain) ? plain : body;
}

function isGzip(bytes: Buffer): boolean {
  return bytes.length >= 2 && bytes.readUInt16BE() === GZIP_MAGIC;
}
