/** JSON that is too long to be read in one go: a message with a manifest in it. */
import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';
import { JSON_PARTS_MAX, NOT_JSON, type ParsedJson, parseBoundedJson } from './bounded-json.ts';

/** A shorter text is read in one go, in 5 ms at most. Characters. */
export const SHORT_JSON_CHARS_MAX = 256 * 1024;
/** A string that is longer is made piece by piece, each of this many characters of the text. */
const PIECE_CHARS = 32 * 1024;
/** What is left without the long strings is read in one go. Characters. */
export const JSON_REST_CHARS_MAX = 4 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SMALL_U = 0x75;
const ESCAPE_CHARS = 2;
/** `\u0000` */
const UNICODE_ESCAPE_CHARS = 6;
/** A placeholder for a long string begins with NUL, as JSON writes it. */
const STAND_IN = '\\u0000';

/**
 * Reads JSON of any length while other work runs. Whatever `parseBoundedJson` limits is limited
 * here too, except the escapes of long strings.
 * @returns as `parseBoundedJson` does
 */
export async function parseLongJson(
  deps: { readonly clock: Clock },
  given: string,
): Promise<ParsedJson> {
  if (given.length <= SHORT_JSON_CHARS_MAX) {
    return parseBoundedJson(given);
  }
  const parted = await partLongStrings(deps, given);
  if (typeof parted === 'string') {
    return { problem: parted };
  }
  const json = parseBoundedJson(parted.rest);
  return json.problem === undefined ? { value: putBack(json.value, parted.strings) } : json;
}

interface PartedJson {
  /** The text, with each long string replaced by NUL and its number. */
  readonly rest: string;
  readonly strings: readonly string[];
}

/** @returns what is wrong with the text when it is a string */
async function partLongStrings(
  deps: { readonly clock: Clock },
  text: string,
): Promise<PartedJson | string> {
  const budget = loopBudget(deps);
  const kept: string[] = [];
  const strings: string[] = [];
  let keptFrom = 0;
  let count = 0;
  for (let open = text.indexOf('"'); open !== -1; ) {
    count += 1;
    const reader = stringReader(text, open);
    while (reader.next() === 'more') {
      if (budget.spent()) {
        await budget.rest();
      }
    }
    const read = reader.read();
    if (read === undefined || count > 2 * JSON_PARTS_MAX) {
      return read === undefined ? NOT_JSON : `it has more than ${JSON_PARTS_MAX} parts`;
    }
    if (read.long !== undefined) {
      kept.push(text.slice(keptFrom, open), `"${STAND_IN}${strings.length}"`);
      strings.push(read.long);
      keptFrom = read.end + 1;
    }
    if (budget.spent()) {
      await budget.rest();
    }
    open = text.indexOf('"', read.end + 1);
  }
  const others = [...kept.filter((_, index) => index % 2 === 0), text.slice(keptFrom)];
  const restChars = others.reduce((sum, { length }) => sum + length, 0);
  if (restChars > JSON_REST_CHARS_MAX) {
    return `it has more than ${JSON_REST_CHARS_MAX} characters beside its long strings`;
  }
  if (others.some((each) => each.includes(STAND_IN))) {
    return 'it has NUL beside its long strings';
  }
  return { rest: [...kept, text.slice(keptFrom)].join(''), strings };
}

interface StringReader {
  /** Reads on, for a bounded time. */
  next(): 'more' | 'done';
  /** Where it ends, and its value if it is long; undefined when it is not a string of JSON. */
  read(): { readonly end: number; readonly long: string | undefined } | undefined;
}

/** @param open where its first quote is */
function stringReader(text: string, open: number): StringReader {
  const pieces: string[] = [];
  let at = open + 1;
  let from = at;
  let isRight = true;
  const take = (): void => {
    const piece = stringOf(text.slice(from, at));
    isRight &&= piece !== undefined;
    pieces.push(piece ?? '');
    from = at;
  };
  return {
    next: () => {
      const stop = Math.min(text.length, from + PIECE_CHARS);
      while (at < stop) {
        const code = text.charCodeAt(at);
        if (code === QUOTE) {
          if (pieces.length > 0) {
            take();
          }
          return 'done';
        }
        at += code === BACKSLASH ? escapeChars(text, at) : 1;
      }
      if (at >= text.length) {
        isRight = false;
        return 'done';
      }
      take();
      return isRight ? 'more' : 'done';
    },
    read: () => {
      const long = pieces.length > 0 ? pieces.join('') : undefined;
      return isRight ? { end: at, long } : undefined;
    },
  };
}

function escapeChars(text: string, at: number): number {
  return text.charCodeAt(at + 1) === SMALL_U ? UNICODE_ESCAPE_CHARS : ESCAPE_CHARS;
}

function stringOf(piece: string): string | undefined {
  try {
    return JSON.parse(`"${piece}"`);
  } catch {
    return undefined;
  }
}

/** @param value fresh from JSON.parse, of bounded depth */
function putBack(value: unknown, strings: readonly string[]): unknown {
  if (typeof value === 'string') {
    return value.startsWith('\0') ? strings[Number(value.slice(1))] : value;
  }
  if (typeof value === 'object' && value !== null) {
    for (const [name, each] of Object.entries(value)) {
      if (typeof each === 'string' ? each.startsWith('\0') : typeof each === 'object') {
        Reflect.set(value, name, putBack(each, strings));
      }
    }
  }
  return value;
}
