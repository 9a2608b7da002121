import {
  CHARACTERS,
  type Characters,
  SECRET_SHAPES,
  type SecretShape,
  type ShapePart,
} from './secret-shapes.ts';

/** What replaces a secret. */
export const REDACTED = '[redacted]';

/** Shorter values are not searched for: they would hide ordinary words. */
const SECRET_LENGTH_MIN = 8;
const KEY_HEADING_LENGTH_MAX = 64;

/** Replaces the given secrets, and whatever looks like one, in a text; in time linear to its length. */
export function redact(text: string, secrets: readonly string[] = []): string {
  let result = text;
  // Longest first: replacing a secret inside a longer one would leave the rest of that one visible.
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) {
    if (secret.length >= SECRET_LENGTH_MIN) {
      result = result.replaceAll(secret, REDACTED);
    }
  }
  return redactShapes(result);
}

/** The password of an address such as `postgres://user:password@host`; undefined where there is none. */
export function passwordIn(address: string): string | undefined {
  const from = address.indexOf('://');
  const { start, end } = from < 0 ? missed(0) : spanOfPassword(address, from);
  return start === end ? undefined : address.slice(start, end);
}

/** Where a secret is; empty when there is none. No secret of this kind begins before `next`. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

function missed(next: number): Span {
  return { start: 0, end: 0, next };
}

/** Something that a secret may begin with. */
interface Beginning {
  readonly text: string;
  /** Only at the start of a word. */
  readonly atWord: boolean;
  readonly spanAt: (text: string, from: number) => Span;
}

const BEGINNINGS: readonly Beginning[] = [
  ...SECRET_SHAPES.flatMap((shape) =>
    shape.begins.map((begin) => ({
      text: begin,
      atWord: true,
      spanAt: (text: string, from: number) => spanOfShape(text, shape, from, from + begin.length),
    })),
  ),
  { text: '://', atWord: false, spanAt: spanOfPassword },
  { text: '-----BEGIN ', atWord: false, spanAt: spanOfPrivateKey },
];

const ASCII_COUNT = 128;

/**
 * By the code of the first character: most of a text is passed over with one look-up per character.
 * Built in one pass, because every program start does it.
 */
const BY_FIRST: readonly (readonly number[] | undefined)[] = indexesByFirst(BEGINNINGS);

function indexesByFirst(beginnings: readonly Beginning[]): readonly (number[] | undefined)[] {
  const found = new Array<number[] | undefined>(ASCII_COUNT).fill(undefined);
  for (const [index, { text }] of beginnings.entries()) {
    const code = text.charCodeAt(0);
    found[code] = [...(found[code] ?? []), index];
  }
  return found;
}

/** Compared first: that is cheaper than comparing the whole beginning. */
const THIRDS = BEGINNINGS.map(({ text }) => text.charCodeAt(2));

const TABLES = Object.fromEntries(
  Object.entries({ ...CHARACTERS, word: /\w/, blank: /\s/, userinfo: /[^\s/?#"'<>]/ }).map(
    ([name, characters]) => [name, tableOf(characters)],
  ),
) as Readonly<Record<Characters | 'word' | 'blank' | 'userinfo', Uint8Array>>;

/**
 * For each ASCII character, whether it is one of these. The last entry holds for all other
 * characters.
 */
function tableOf(characters: RegExp): Uint8Array {
  const table = new Uint8Array(ASCII_COUNT + 1);
  for (let code = 0; code < ASCII_COUNT; code += 1) {
    table[code] = characters.test(String.fromCharCode(code)) ? 1 : 0;
  }
  table[ASCII_COUNT] = characters.test('é') ? 1 : 0;
  return table;
}

function redactShapes(text: string): string {
  const notBefore = new Int32Array(BEGINNINGS.length);
  let result = '';
  let taken = 0;
  let at = 0;
  while (at < text.length) {
    const span = spanAt(text, at, notBefore);
    if (span === undefined) {
      at += 1;
    } else {
      result += text.slice(taken, span.start) + REDACTED;
      taken = span.end;
      at = span.end;
    }
  }
  return taken === 0 ? text : result + text.slice(taken);
}

function spanAt(text: string, at: number, notBefore: Int32Array): Span | undefined {
  const candidates = BY_FIRST[text.charCodeAt(at)];
  if (candidates === undefined) {
    return undefined;
  }
  const third = text.charCodeAt(at + 2);
  const isInWord = at > 0 && isOf(TABLES.word, text, at - 1);
  for (const index of candidates) {
    const beginning = BEGINNINGS[index] as Beginning;
    if (
      third !== THIRDS[index] ||
      at < (notBefore[index] as number) ||
      (isInWord && beginning.atWord) ||
      !text.startsWith(beginning.text, at)
    ) {
      continue;
    }
    const span = beginning.spanAt(text, at);
    if (span.start < span.end) {
      return span;
    }
    notBefore[index] = span.next;
  }
  return undefined;
}

/**
 * Each part is a run of its characters. After a run that does not fit, the search goes on behind
 * it: anything that begins inside the run ends at the same place. So no run is read more often than
 * there are parts.
 */
function spanOfShape(text: string, shape: SecretShape, from: number, bodyAt: number): Span {
  const firstAt = shape.scheme === undefined ? bodyAt : endOfRun(text, bodyAt, TABLES.blank);
  if (shape.scheme !== undefined && firstAt === bodyAt) {
    return missed(bodyAt);
  }
  let at = firstAt;
  for (let index = 0; index < shape.parts.length; index += 1) {
    const part = shape.parts[index] as ShapePart;
    const end = endOfRun(text, at, TABLES[part.of]);
    const isLast = index === shape.parts.length - 1;
    const fits = end - at >= part.min && end - at <= (part.max ?? Number.POSITIVE_INFINITY);
    if (!fits || (!isLast && !text.startsWith(shape.joint ?? '', end))) {
      return missed(index === 0 ? end : at);
    }
    at = isLast ? end : end + (shape.joint ?? '').length;
  }
  const start = shape.scheme === undefined ? from : firstAt;
  return shape.check?.(text.slice(firstAt, at)) === false
    ? missed(at)
    : { start, end: at, next: at };
}

/**
 * The password in a URL, between user and host (RFC 3986, section 3.2.1); it may contain an `@`.
 */
function spanOfPassword(text: string, from: number): Span {
  const at = from + '://'.length;
  const end = endOfRun(text, at, TABLES.userinfo);
  const userinfo = text.slice(at, end);
  const colon = userinfo.indexOf(':');
  const host = userinfo.lastIndexOf('@');
  return colon >= 0 && host > colon + 1
    ? { start: at + colon + 1, end: at + host, next: end }
    : missed(end);
}

/** A private key in PEM (RFC 7468), even one that is cut. */
function spanOfPrivateKey(text: string, from: number): Span {
  const heading = text.slice(from, from + KEY_HEADING_LENGTH_MAX);
  const headingEnd = /PRIVATE KEY( BLOCK)?-----/.exec(heading);
  if (headingEnd === null) {
    return missed(from + 1);
  }
  const start = from + headingEnd.index + headingEnd[0].length;
  const endingAt = text.indexOf('-----END', start);
  const end = endingAt < 0 ? text.length : endingAt;
  return { start, end, next: end };
}

function endOfRun(text: string, from: number, table: Uint8Array): number {
  let at = from;
  while (at < text.length && isOf(table, text, at)) {
    at += 1;
  }
  return at;
}

function isOf(table: Uint8Array, text: string, at: number): boolean {
  return table[Math.min(text.charCodeAt(at), ASCII_COUNT)] === 1;
}
