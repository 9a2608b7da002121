/** Requests for kubectl's door: valid ones of all kinds, changed ones, and what must become of them. */
import { type Draw, pick } from './draw.ts';
import { type Header, options, readRequest, type StrictRequest, values } from './strict-http.ts';

const REQUESTS_MAX = 5;
const BODY_BYTES_MAX = 2_000;
const CHUNKS_MAX = 5;
const MUTATIONS_MAX = 3;

/** Of paths that the policy refuses. */
const FORBIDDEN_KIND = 'forbidden';
/** In a body: to who loses count of one, a request that was refused. */
const HIDDEN = `0\r\n\r\nGET /${FORBIDDEN_KIND}/hidden HTTP/1.1\r\nHost: x\r\n\r\n`;
/** What the API server answers is said by the path; see fake-api.ts. */
const ANSWER_KINDS = [
  ...(['length', 'chunks', 'end', 'empty', 'same', 'early', 'news'] as const),
  FORBIDDEN_KIND,
] as const;
const OWN = ['Host: 127.0.0.1', 'Authorization: Bearer local'];
const OTHER_HEADERS = [
  'X-Two: 1\r\nx-two: 2',
  'X-Spaces: \t a  b \t',
  'X-Empty:',
  'X-Name: voil\xc3\xa0',
  'Connection: keep-alive, X-Hop\r\nX-Hop: gone\r\nKeep-Alive: 5',
  'X-Remote-User: root\r\nCookie: a=b',
  'Impersonate-User: root',
  'X-Broken: \xc4\x8d\xc4\x8aTransfer-Encoding: chunked',
  'User-Agent: kubectl/v1.36.0 (linux/amd64)',
] as const;
/** Each makes one reader see something else than another somewhere. */
const ODD_LINES = [
  'Content-Length: 3',
  'Content-Length: 3, 3',
  'Content-Length: +3',
  'Content-Length: \v3',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: \vchunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding : chunked',
  'Connection: content-length',
  'Connection: close, upgrade',
  'Connection: Upgrade\r\nUpgrade: h2c',
  'Expect: 100-continue',
  'Host: other.example',
  'X: a\rY: b',
  'X: a\nY: b',
  'X: a\xc4\x8d\xc4\x8aTransfer-Encoding: chunked',
  'Connection: Impersonate-Group\r\nImpersonate-Group: a',
  ' folded',
  '',
] as const;
const ODD_BYTES = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  '\v',
  ':',
  ';',
  ',',
  '0',
  'f',
  '\xa0',
] as const;

export interface Requests {
  readonly text: string;
  /** How many were put into it. */
  readonly count: number;
}

/** Several valid ones, of which the last may be the last one of its connection. */
export function validRequests(draw: Draw): Requests {
  const count = 1 + draw(REQUESTS_MAX);
  const texts = Array.from({ length: count }, (_, index) => plainRequest(draw, `${index}`));
  if (draw(3) === 0) {
    texts[count - 1] = lastRequest(draw);
  }
  return { text: texts.join(''), count };
}

function plainRequest(draw: Draw, name: string, version = '1', ...more: string[]): string {
  const method = pick(draw, ['GET', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']);
  const kind = draw(30) === 0 ? 'large' : pick(draw, ANSWER_KINDS);
  const others = OTHER_HEADERS.filter((line) => draw(6) === 0 && !hasSame(more, line));
  const framing = pick(draw, ['none', 'none', 'length', 'chunked']);
  const body = draw(4) === 0 ? HIDDEN : 'b'.repeat(draw(BODY_BYTES_MAX));
  const lines = [
    ...[`${method} /proxy/${kind}/${name}?q=%20 HTTP/1.${version}`, ...OWN],
    ...[...others, ...more],
    ...(framing === 'length' ? [`Content-Length: ${body.length}`] : []),
    ...(framing === 'chunked' ? ['Transfer-Encoding: Chunked'] : []),
    ...(framing !== 'none' && draw(4) === 0 ? ['Expect: 100-continue'] : []),
  ];
  const head = `${draw(20) === 0 ? '\r\n' : ''}${lines.join('\r\n')}\r\n\r\n`;
  return `${head}${{ none: '', length: body, chunked: chunks(draw, body) }[framing]}`;
}

/** Another Connection header would make two of them. */
const hasSame = (lines: readonly string[], line: string) =>
  lines.some((each) => each.startsWith('Connection') && line.startsWith('Connection'));

function chunks(draw: Draw, body: string): string {
  let text = '';
  let rest = body;
  for (let count = draw(CHUNKS_MAX); count > 0 && rest !== ''; count -= 1) {
    const chunk = rest.slice(0, 1 + draw(rest.length));
    rest = rest.slice(chunk.length);
    text += `${chunk.length.toString(16)}${pick(draw, ['', ' ', ';a=b', ' ;a="b"'])}\r\n${chunk}\r\n`;
  }
  return `${text}${pick(draw, ['0', '000;x'])}\r\n${draw(4) === 0 ? 'X-Sum: 1\r\n' : ''}\r\n`;
}

function lastRequest(draw: Draw): string {
  const behind = plainRequest(draw, 'behind');
  switch (draw(4)) {
    case 0:
      return `${plainRequest(draw, 'last', '1', 'Connection: keep-alive, Close')}${behind}`;
    case 1:
      return `${plainRequest(draw, 'last', '0')}${behind}`;
    default: {
      const path = pick(draw, ['switch', 'switch', 'refuse']);
      const lines = [...OWN, 'Connection: Upgrade', 'Upgrade: SPDY/3.1', '', ''];
      return `POST /proxy/${path}/x HTTP/1.1\r\n${lines.join('\r\n')}${behind}`;
    }
  }
}

/** The same with some bytes or lines changed. */
export function mutated(draw: Draw, text: string): string {
  let changed = text;
  for (let count = draw(MUTATIONS_MAX) + 1; count > 0; count -= 1) {
    changed = mutatedOnce(draw, changed);
  }
  return changed;
}

function mutatedOnce(draw: Draw, text: string): string {
  const at = draw(text.length);
  const some = 1 + draw(4);
  const put = (middle: string, skip = 0) => text.slice(0, at) + middle + text.slice(at + skip);
  const breaks = [...text.matchAll(/\r\n/g)].map(({ index }) => index);
  const line = breaks[draw(breaks.length)] ?? 0;
  const putAtLine = (middle: string) => text.slice(0, line) + middle + text.slice(line);
  switch (draw(10)) {
    case 0:
      return put(String.fromCharCode(text.charCodeAt(at) ^ (1 << draw(8))), 1);
    case 1:
      return put('', some);
    case 2:
      return put(pick(draw, ODD_BYTES), draw(2));
    case 3:
      return put(text.slice(at, at + some));
    case 4:
      return draw(4) === 0 ? text.slice(0, at) : text;
    case 5:
      return putAtLine(pick(draw, ODD_BYTES));
    case 6:
      return putAtLine(text.slice(text.lastIndexOf('\r\n', line - 1), line)); // The line twice.
    default:
      return putAtLine(`\r\n${pick(draw, ODD_LINES)}`);
  }
}

/** What the strictest reader sees in what a client sends. */
export interface Reading {
  /** Those that may go to the API server, in order; all but the last one are whole. */
  readonly requests: readonly StrictRequest[];
  /** usable: another request may follow. ended: none may. open: more must come, or the end. */
  readonly next: 'usable' | 'ended' | 'open';
  /** Behind an upgrade. */
  readonly rest: string;
}

export function readAll(text: string): Reading {
  const requests: StrictRequest[] = [];
  for (let at = 0; at < text.length; ) {
    const request = readRequest(text, at);
    if (request === undefined || !isAdmitted(request)) {
      return { requests, next: 'open', rest: '' };
    }
    requests.push(request);
    if (request.end === undefined) {
      return { requests, next: 'open', rest: '' };
    }
    at = request.end;
    if (isLast(request)) {
      return { requests, next: 'ended', rest: text.slice(at) };
    }
  }
  return { requests, next: 'usable', rest: '' };
}

function isAdmitted({ headers }: StrictRequest): boolean {
  const hosts = values(headers, 'host');
  return (
    hosts.length > 0 &&
    hosts.every((host) => /^(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?$/i.test(host)) &&
    values(headers, 'authorization').every((value) => value === 'Bearer local') &&
    values(headers, 'authorization').length > 0
  );
}

/** The API stands below /proxy and at the root. */
export function targetOfApi(target: string): string {
  return target.startsWith('/proxy/') ? target.slice('/proxy'.length) : target;
}

/** Whether it may not go on: because of the policy, or of whom the caller wants to be. */
export function isForbidden({ target, headers }: StrictRequest): boolean {
  return (
    targetOfApi(target).startsWith(`/${FORBIDDEN_KIND}/`) ||
    headers.some(([name]) => name.toLowerCase().startsWith('impersonate-'))
  );
}

export function isLast({ headers, minorVersion, upgrade }: StrictRequest): boolean {
  return minorVersion === '0' || upgrade || options(headers).includes('close');
}

const NOT_PASSED_ON = [
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
  ...['te', 'transfer-encoding', 'upgrade', 'host', 'expect', 'authorization', 'cookie'],
];

/** The head as the API server must see it. */
export function passedOn({ method, target, headers, upgrade }: StrictRequest) {
  const named = options(headers);
  const kept = headers.filter(([written]) => {
    const name = written.toLowerCase();
    return !NOT_PASSED_ON.includes(name) && !named.includes(name) && !name.startsWith('x-remote-');
  });
  const isChunked = values(headers, 'transfer-encoding').length > 0;
  const own: readonly Header[] = upgrade
    ? [
        ['Connection', 'Upgrade'],
        ['Upgrade', values(headers, 'upgrade')[0] ?? ''],
      ]
    : isChunked
      ? [['Transfer-Encoding', 'chunked']]
      : [];
  return {
    method,
    target: targetOfApi(target),
    minorVersion: '1',
    headers: [
      ['Host', 'kubernetes.test'],
      ['Authorization', 'Bearer agents-token'],
      ...kept,
      ...own,
    ],
  };
}
