/**
 * Heads of HTTP/1.1 messages (RFC 9112), byte-exact: the target of a request goes out as it came
 * in, header names keep their case, repeated headers stay apart. Whatever could make two readers
 * see two different messages (request smuggling) is refused.
 */
import { AgentError } from '../core/errors.ts';

/** Names as they were written, in order; the same name may come more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Between a head and a body. */
export const HEAD_END = Buffer.from('\r\n\r\n');

/** Largest head of a request that is taken, bytes: as much as the API server takes. */
export const HEAD_LIMIT_BYTES = 1024 * 1024;
/** Largest head of an answer that is taken, bytes: servers say little in it. */
export const ANSWER_HEAD_LIMIT_BYTES = 64 * 1024;
/** Headers of one message. */
const HEADERS_MAX = 10_000;
/**
 * What the agent's own headers may add to a caller's request, bytes; Go's server allows that much
 * more too.
 */
const OWN_HEADERS_BYTES = 4 * 1024;

export interface RequestHead {
  readonly method: string;
  /** As it came: nothing of it is decoded or normalised. */
  readonly target: string;
  /** 0 for HTTP/1.0: such a caller knows no chunks and closes after each answer. */
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderList;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
}

const BREAK = '\r\n';

/** The bit in which capital and small letters of ASCII differ. */
const LOWER_CASE = 0x20;

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible ASCII: everything else must come percent-encoded (RFC 9112 section 3.2). */
const TARGET = /^[\x21-\x7e]+$/;
/**
 * All that a value and a reason are made of (RFC 9110 section 5.5): tab, visible ASCII, space and
 * the bytes from 0x80. Nothing else may be written: Latin-1 keeps only the low byte of a character,
 * and the low byte of U+010A is a line break.
 */
const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
/** RFC 9112 section 5; the value is a TEXT. */
const HEADER_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** For the sender of a request that is refused because of its form. */
export const REQUEST_ADVICE = {
  hint: 'Correct the request: what could be read in two ways is not passed on',
} as const;

/** A head is longer than the limit; for a request this is 431 (RFC 6585 section 5). */
export class HeadTooLarge extends Error {}

/** @throws AgentError PROXY_REQUEST_INVALID for what could be read in two ways, PROXY_HEAD_TOO_LARGE */
export function encodeRequestHead(method: string, target: string, headers: HeaderList): Buffer {
  if (!TOKEN.test(method) || !TARGET.test(target)) {
    throw new AgentError(
      'PROXY_REQUEST_INVALID',
      'The method or the path has forbidden characters',
      REQUEST_ADVICE,
    );
  }
  const head = encodeLines(`${method} ${target} HTTP/1.1`, headers);
  if (headers.length > HEADERS_MAX || head.length > HEAD_LIMIT_BYTES + OWN_HEADERS_BYTES) {
    throw new AgentError(
      'PROXY_HEAD_TOO_LARGE',
      `The head of the request is longer than ${HEAD_LIMIT_BYTES} bytes or ${HEADERS_MAX} headers`,
      { hint: 'Send fewer or shorter headers: cookies are the usual reason' },
    );
  }
  return head;
}

/** @throws AgentError PROXY_REQUEST_INVALID for what could be read in two ways */
export function encodeResponseHead(head: ResponseHead): Buffer {
  return encodeLines(`HTTP/1.1 ${head.status} ${head.reason}`, head.headers);
}

/**
 * A line, fields and the empty line behind them: the only way from text to the bytes of a head, and of
 * what stands behind the last chunk (RFC 9112 section 7.1.2).
 * @throws AgentError PROXY_REQUEST_INVALID for what could be read in two ways
 */
export function encodeLines(firstLine: string, fields: HeaderList): Buffer {
  if (!TEXT.test(firstLine)) {
    throw new AgentError(
      'PROXY_REQUEST_INVALID',
      'A first line has forbidden characters',
      REQUEST_ADVICE,
    );
  }
  let text = `${firstLine}\r\n`;
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || !TEXT.test(value)) {
      throw new AgentError(
        'PROXY_REQUEST_INVALID',
        'A header has forbidden characters',
        REQUEST_ADVICE,
      );
    }
    text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** @param head what is before the empty line, as Latin-1. @throws HeadTooLarge, Error that says what cannot be read */
export function parseRequestHead(head: string): RequestHead {
  const end = lineEnd(head, 0);
  const [, method, target, minorVersion] = REQUEST_LINE.exec(head.slice(0, end)) ?? [];
  if (method === undefined || target === undefined) {
    throw new Error('its first line is not one of HTTP/1.1');
  }
  return {
    method,
    target,
    minorVersion: minorVersion === '0' ? 0 : 1,
    headers: headersBehind(head, end),
  };
}

/** @param head what is before the empty line, as Latin-1. @throws HeadTooLarge, Error that says what cannot be read */
export function parseResponseHead(head: string): ResponseHead {
  const end = lineEnd(head, 0);
  const [, status, reason = ''] = STATUS_LINE.exec(head.slice(0, end)) ?? [];
  if (status === undefined) {
    throw new Error('its first line is not one of HTTP/1.1');
  }
  return { status: Number(status), reason, headers: headersBehind(head, end) };
}

/** @param firstEnd where the first line ends */
function headersBehind(head: string, firstEnd: number): HeaderList {
  const headers: (readonly [string, string])[] = [];
  for (let end = firstEnd; end < head.length; ) {
    if (headers.length === HEADERS_MAX) {
      throw new HeadTooLarge(`it has more than ${HEADERS_MAX} headers`);
    }
    const start = end + BREAK.length;
    end = lineEnd(head, start);
    headers.push(parseHeaderLine(head.slice(start, end)));
  }
  return headers;
}

function lineEnd(head: string, from: number): number {
  const end = head.indexOf(BREAK, from);
  return end === -1 ? head.length : end;
}

/** `Name: value`; a folded line (RFC 9112 section 5.2) has no name and is refused. */
export function parseHeaderLine(line: string): readonly [string, string] {
  if (!HEADER_LINE.test(line)) {
    throw new Error('it has a header that cannot be read');
  }
  const colon = line.indexOf(':'); // A name has none.
  return [line.slice(0, colon), valueFrom(line, colon + 1)];
}

/**
 * The value without spaces and tabs around it (RFC 9110 section 5.6.3). `trim` would also take
 * bytes of a UTF-8 letter for spaces.
 */
function valueFrom(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isSpace(line.charCodeAt(start))) {
    start += 1;
  }
  while (end > start && isSpace(line.charCodeAt(end - 1))) {
    end -= 1;
  }
  return line.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The value of the only header of this name; several equal ones count as one. */
export function singleHeader(headers: HeaderList, lowerName: string): string | undefined {
  let found: string | undefined;
  for (const [name, value] of headers) {
    if (isNamed(name, lowerName)) {
      if (found !== undefined && found !== value) {
        throw repeated(lowerName);
      }
      found = value;
    }
  }
  return found;
}

/**
 * As `singleHeader`, for headers that say where a message ends: not even equal ones are accepted.
 */
export function unrepeatedHeader(headers: HeaderList, lowerName: string): string | undefined {
  let found: string | undefined;
  for (const [name, value] of headers) {
    if (isNamed(name, lowerName)) {
      if (found !== undefined) {
        throw repeated(lowerName);
      }
      found = value;
    }
  }
  return found;
}

/**
 * Compares names in any case. Most names differ in length or first letter, so that few texts in
 * lower case are made.
 */
export function isNamed(name: string, lowerName: string): boolean {
  return (
    name.length === lowerName.length &&
    (name.charCodeAt(0) | LOWER_CASE) === lowerName.charCodeAt(0) &&
    name.toLowerCase() === lowerName
  );
}

function repeated(lowerName: string): AgentError {
  return new AgentError(
    'PROXY_REQUEST_INVALID',
    `The header "${lowerName}" is there twice`,
    REQUEST_ADVICE,
  );
}
