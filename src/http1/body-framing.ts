/** Where the body of a message ends (RFC 9112 section 6), and its bytes without the framing. */
import { AgentError } from '../core/errors.ts';
import {
  type HeaderList,
  parseHeaderLine,
  REQUEST_ADVICE,
  type ResponseHead,
  singleHeader,
  unrepeatedHeader,
} from './head.ts';
import { joinSmallChunks } from './small-chunks.ts';

/** Longest line that announces a chunk, bytes: a size in hex and perhaps extensions. */
const CHUNK_LINE_LIMIT_BYTES = 4_096;
/** Fields behind the last chunk, bytes: few have any. */
const TRAILERS_LIMIT_BYTES = 64 * 1024;

const LENGTH = /^\d{1,15}$/;

const NO_TRAILERS: HeaderList = [];

export interface BodySink {
  data(chunk: Buffer): void;
  end(trailers: HeaderList): void;
}

export interface BodyReader {
  /** @returns bytes that belong to what comes behind this body. @throws Error that says what cannot be read */
  read(bytes: Buffer, sink: BodySink): Buffer | undefined;
  /** The connection ended. @returns whether the body was whole */
  closed(sink: BodySink): boolean;
}

/** How the body of a request is framed: as announced, in chunks, or that there is none. */
export type RequestFraming = 'none' | 'chunked' | { readonly bytes: number };

/** @throws AgentError PROXY_REQUEST_INVALID when the length is said in two ways, or in an unknown one */
export function requestFraming(headers: HeaderList): RequestFraming {
  const encoding = unrepeatedHeader(headers, 'transfer-encoding');
  const length = unrepeatedHeader(headers, 'content-length');
  if (encoding !== undefined) {
    if (length !== undefined) {
      throw new AgentError(
        'PROXY_REQUEST_INVALID',
        'The length of the body is said in two ways',
        REQUEST_ADVICE,
      );
    }
    if (encoding.toLowerCase() !== 'chunked') {
      throw new AgentError(
        'PROXY_REQUEST_INVALID',
        `Transfer-Encoding "${encoding}" is not known`,
        REQUEST_ADVICE,
      );
    }
    return 'chunked';
  }
  if (length === undefined || length === '0') {
    return 'none';
  }
  if (!LENGTH.test(length)) {
    throw new AgentError(
      'PROXY_REQUEST_INVALID',
      'The Content-Length is no number',
      REQUEST_ADVICE,
    );
  }
  return { bytes: Number(length) };
}

export function requestBodyReader(framing: RequestFraming): BodyReader {
  if (framing === 'chunked') {
    return chunkedReader();
  }
  return lengthReader(framing === 'none' ? 0 : framing.bytes);
}

/** @param method of the request: a HEAD has no body whatever the headers say */
export function responseBodyReader(head: ResponseHead, method: string): BodyReader {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) {
    return lengthReader(0);
  }
  const encoding = singleHeader(head.headers, 'transfer-encoding');
  const length = singleHeader(head.headers, 'content-length');
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked' || length !== undefined) {
      throw new Error('the length of its body is said in two ways');
    }
    return chunkedReader();
  }
  if (length === undefined) {
    return untilCloseReader();
  }
  if (!LENGTH.test(length)) {
    throw new Error('the length of its body is no number');
  }
  return lengthReader(Number(length));
}

function lengthReader(length: number): BodyReader {
  let left = length;
  return {
    read: (bytes, sink) => {
      if (bytes.length < left) {
        left -= bytes.length;
        if (bytes.length > 0) {
          sink.data(bytes);
        }
        return undefined;
      }
      const own = left;
      left = 0;
      if (own > 0) {
        sink.data(bytes.length === own ? bytes : bytes.subarray(0, own));
      }
      sink.end(NO_TRAILERS);
      return bytes.length === own ? undefined : bytes.subarray(own);
    },
    closed: () => false,
  };
}

function untilCloseReader(): BodyReader {
  return {
    read: (bytes, sink) => {
      if (bytes.length > 0) {
        sink.data(bytes);
      }
      return undefined;
    },
    closed: (sink) => {
      sink.end(NO_TRAILERS);
      return true;
    },
  };
}

/** RFC 9112 section 7.1. Lines are gathered; the bytes of chunks are passed on as they come. */
function chunkedReader(): BodyReader {
  let state: 'size' | 'bytes' | 'bytes-end' | 'trailers' = 'size';
  let left = 0;
  let line = '';
  let trailerBytes = 0;
  const trailers: (readonly [string, string])[] = [];

  /** One line that ends in CRLF. @returns how many bytes were used; `done` once it is whole */
  const readLine = (bytes: Buffer, from: number, limit: number) => {
    const at = bytes.indexOf(0x0a, from);
    const end = at === -1 ? bytes.length : at + 1;
    line += bytes.toString('latin1', from, end);
    if (line.length > limit) {
      throw new Error('a line between its chunks is too long');
    }
    return { end, done: at !== -1 };
  };
  const takeLine = (): string => {
    if (!line.endsWith('\r\n')) {
      throw new Error('a line between its chunks does not end in CRLF');
    }
    const text = line.slice(0, -2);
    line = '';
    return text;
  };

  return {
    read: (bytes, sink) => {
      let at = 0;
      while (at < bytes.length) {
        if (state === 'bytes') {
          const piece = bytes.subarray(at, at + left);
          sink.data(piece);
          at += piece.length;
          left -= piece.length;
          state = left === 0 ? 'bytes-end' : 'bytes';
          continue;
        }
        const joined = state === 'size' && line === '' ? joinSmallChunks(bytes, at) : undefined;
        if (joined !== undefined) {
          sink.data(joined.data);
          at = joined.end;
          continue;
        }
        const limit = state === 'trailers' ? TRAILERS_LIMIT_BYTES : CHUNK_LINE_LIMIT_BYTES;
        const { end, done } = readLine(bytes, at, limit);
        at = end;
        if (!done) {
          break;
        }
        const text = takeLine();
        if (state === 'bytes-end') {
          if (text !== '') {
            throw new Error('a chunk is longer than it said');
          }
          state = 'size';
        } else if (state === 'size') {
          left = chunkSize(text);
          state = left === 0 ? 'trailers' : 'bytes';
        } else if (text === '') {
          sink.end(trailers);
          return bytes.subarray(at);
        } else {
          trailerBytes += text.length;
          if (trailerBytes > TRAILERS_LIMIT_BYTES) {
            throw new Error('its trailers are too long');
          }
          trailers.push(parseHeaderLine(text));
        }
      }
      return undefined;
    },
    closed: () => false,
  };
}

/** `1a3f` or `1a3f;extension`. */
function chunkSize(line: string): number {
  const match = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line);
  if (match === null) {
    throw new Error('the size of a chunk is no number');
  }
  return Number.parseInt(match[1] ?? '', 16);
}
