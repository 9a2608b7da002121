/**
 * HTTP/1.1 as the strictest reader of RFC 9112 would read it, in as few words as possible, on text of
 * Latin-1: what the proxy is compared with. It shares nothing with what it judges.
 */
export type Header = readonly [name: string, value: string];

export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  readonly minorVersion: string;
  readonly headers: readonly Header[];
  /** All that has come of it. */
  readonly body: string;
  /** What comes behind it belongs to another protocol, should the answer say so. */
  readonly upgrade: boolean;
  /** Where the next one begins; undefined: it is not whole, or cannot be read any further. */
  readonly end: number | undefined;
}

export interface StrictAnswer {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string;
  readonly trailers: readonly Header[];
}

type Framing = 'none' | 'chunked' | 'until the end' | number;

interface Body {
  readonly body: string;
  readonly trailers: readonly Header[];
  readonly end: number | undefined;
}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.1 ([1-5][0-9]{2}) ([\t -~\x80-\xff]*)$/;
/** An octet of a value: none that ends a line anywhere, or is no text. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*$/;
const CHUNK_LINE = /^([0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?$/;

/** @returns undefined when no head can be read there: it is not whole, or is none */
export function readRequest(text: string, from: number): StrictRequest | undefined {
  const head = readHead(text, text.startsWith('\r\n', from) ? from + 2 : from, REQUEST_LINE);
  const framing = head === undefined ? undefined : requestFraming(head.headers);
  if (head === undefined || framing === undefined) {
    return undefined;
  }
  const [, method = '', target = '', minorVersion = ''] = head.line;
  const { headers } = head;
  const upgrade = options(headers).includes('upgrade') && isKnown(values(headers, 'upgrade'));
  if (upgrade && framing !== 'none') {
    return undefined;
  }
  const { body, end } = readBody(text, head.end, framing);
  return { method, target, minorVersion, headers, body, upgrade, end };
}

/** Any other protocol is as if nobody had asked for it. */
function isKnown(protocols: readonly string[]): boolean {
  return protocols
    .flatMap((each) => each.toLowerCase().split(','))
    .some((each) => ['websocket', 'spdy/3.1'].includes(each.trim()));
}

/** @param method of the request. @returns undefined when no whole answer is there */
export function readAnswer(
  text: string,
  from: number,
  method: string,
): { readonly answer: StrictAnswer; readonly end: number } | undefined {
  const head = readHead(text, from, STATUS_LINE);
  if (head === undefined) {
    return undefined;
  }
  const status = Number(head.line[1]);
  const { headers } = head;
  const isBodiless = status < 200 || status === 204 || status === 304 || method === 'HEAD';
  const framing = isBodiless ? 'none' : answerFraming(headers);
  const { body, trailers, end } = readBody(text, head.end, framing);
  return end === undefined ? undefined : { answer: { status, headers, body, trailers }, end };
}

/** What is meant for one connection only, in lower case. */
export function options(headers: readonly Header[]): readonly string[] {
  return values(headers, 'connection').flatMap((value) =>
    value.split(',').map((each) => each.trim().toLowerCase()),
  );
}

export function values(headers: readonly Header[], lowerName: string): readonly string[] {
  const isNamed = ([name]: Header) =>
    name.length === lowerName.length && name.toLowerCase() === lowerName;
  return headers.filter(isNamed).map(([, value]) => value);
}

function readHead(text: string, from: number, firstLine: RegExp) {
  const end = text.indexOf('\r\n\r\n', from);
  if (end === -1) {
    return undefined;
  }
  const [first = '', ...lines] = text.slice(from, end).split('\r\n');
  const line = firstLine.exec(first);
  const headers = lines.map(readHeader);
  return line === null || !headers.every((header) => header !== undefined)
    ? undefined
    : { line, headers, end: end + 4 };
}

function readHeader(line: string): Header | undefined {
  const [, name, value] = HEADER.exec(line) ?? [];
  return name === undefined || value === undefined ? undefined : [name, value];
}

/** @returns undefined for what anybody could read in another way */
function requestFraming(headers: readonly Header[]): Framing | undefined {
  const encodings = values(headers, 'transfer-encoding');
  const lengths = values(headers, 'content-length');
  const [length] = lengths;
  if (encodings.length + lengths.length > 1 || options(headers).includes('content-length')) {
    return undefined;
  }
  if (encodings.length > 0) {
    return encodings[0]?.toLowerCase() === 'chunked' ? 'chunked' : undefined;
  }
  if (length === undefined || length === '0') {
    return 'none';
  }
  return /^[0-9]+$/.test(length) ? Number(length) : undefined;
}

function answerFraming(headers: readonly Header[]): Framing {
  const [length] = values(headers, 'content-length');
  if (values(headers, 'transfer-encoding').includes('chunked')) {
    return 'chunked';
  }
  return length === undefined ? 'until the end' : Number(length);
}

function readBody(text: string, from: number, framing: Framing): Body {
  if (framing === 'chunked') {
    return readChunks(text, from);
  }
  if (framing === 'until the end') {
    return { body: text.slice(from), trailers: [], end: text.length };
  }
  const end = from + (framing === 'none' ? 0 : framing);
  return {
    body: text.slice(from, end),
    trailers: [],
    end: end <= text.length ? end : undefined,
  };
}

function readChunks(text: string, from: number): Body {
  let body = '';
  let at = from;
  for (;;) {
    const lineEnd = text.indexOf('\n', at);
    const size = CHUNK_LINE.exec(text.slice(at, lineEnd - 1))?.[1];
    if (lineEnd === -1 || text[lineEnd - 1] !== '\r' || size === undefined) {
      return { body, trailers: [], end: undefined };
    }
    const bytes = Number.parseInt(size, 16);
    at = lineEnd + 1;
    if (bytes === 0) {
      return { body, ...readTrailers(text, at) };
    }
    body += text.slice(at, at + bytes);
    at += bytes;
    if (!text.startsWith('\r\n', at)) {
      return { body, trailers: [], end: undefined };
    }
    at += 2;
  }
}

function readTrailers(text: string, from: number): Omit<Body, 'body'> {
  const trailers: Header[] = [];
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const line = text.slice(at, lineEnd);
    at = lineEnd + 2;
    if (lineEnd !== -1 && line === '') {
      return { trailers, end: at };
    }
    const trailer = lineEnd === -1 ? undefined : readHeader(line);
    if (trailer === undefined) {
      return { trailers, end: undefined };
    }
    trailers.push(trailer);
  }
}
