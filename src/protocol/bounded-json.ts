/** JSON from a peer that may be hostile, at a price that is known before it is paid. */

/**
 * Values, keys and brackets of one message. 4 MiB in one string cost 3 ms on the event loop, 4 MiB
 * of keys cost seconds: so the expensive parts are counted, not only the bytes. 20 000 parts of the
 * most expensive kind cost at most 20 ms, including their check against a schema.
 */
export const JSON_PARTS_MAX = 20_000;
/** Escapes in its strings: a manifest of 3 MiB in JSON has about 400 000 of them. */
export const JSON_ESCAPES_MAX = 600_000;
/** Brackets within brackets: code that walks through values may be recursive. */
export const JSON_DEPTH_MAX = 200;

export const NOT_JSON = 'it is not JSON';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export type ParsedJson =
  | { readonly value: unknown; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/** @returns the value, or why there is none; the problem never repeats the text */
export function parseBoundedJson(given: string): ParsedJson {
  // A byte order mark is not part of the text (RFC 8259 section 8.1).
  const text = given.startsWith('\ufeff') ? given.slice(1) : given;
  const problem = tooMuch(text);
  if (problem !== undefined) {
    return { problem };
  }
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { problem: NOT_JSON }; // The engine's text would repeat the message.
  }
}

/** Reads the text once, without building anything; strings without escapes are jumped over. */
function tooMuch(text: string): string | undefined {
  let parts = 0;
  let strings = 0;
  let escapes = 0;
  let depth = 0;
  let inString = false;
  let nextEscape = -1;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === QUOTE) {
        inString = false;
      } else if (code === BACKSLASH) {
        at += 1;
        escapes += 1;
      }
    } else if (code === QUOTE) {
      strings += 1;
      if (strings > parts + 1) {
        return NOT_JSON; // Strings need a part between them, and each costs a search.
      }
      nextEscape = nextEscape < at ? find(text, '\\', at) : nextEscape;
      const end = find(text, '"', at + 1);
      inString = end > nextEscape;
      at = inString ? at : end;
    } else if (code === COMMA || code === COLON) {
      parts += 1;
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      parts += 1;
      depth += 1;
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      depth -= 1;
    }
    if (parts > JSON_PARTS_MAX || depth > JSON_DEPTH_MAX) {
      break;
    }
  }
  if (depth > JSON_DEPTH_MAX) {
    return `it is nested more than ${JSON_DEPTH_MAX} deep`;
  }
  if (parts > JSON_PARTS_MAX) {
    return `it has more than ${JSON_PARTS_MAX} parts`;
  }
  return escapes > JSON_ESCAPES_MAX ? `it has more than ${JSON_ESCAPES_MAX} escapes` : undefined;
}

/** @returns where it occurs next; the end of the text when it does not */
function find(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at === -1 ? text.length : at;
}
