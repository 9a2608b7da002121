/**
 * What a terminal, or a viewer of logs, obeys instead of showing it: control characters of ASCII and
 * of Latin-1, what turns the direction of writing (Unicode UAX #9), and what ends a line somewhere.
 */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * A text for a terminal: whoever it comes from, it is shown and not obeyed. What is replaced stands
 * there as JSON writes it, so that a JSON document means the same as before. Never removed: a secret
 * with such a character in it would be whole again, behind the redaction.
 */
export function visibleText(text: string): string {
  return text.replace(OBEYED, (character, at: number) =>
    character === '\n' || character === '\t' || (character === '\r' && text[at + 1] === '\n')
      ? character
      : escaped(character),
  );
}

/** The same as one line, for a log: nothing from outside forges a second one. */
export function visibleLine(text: string): string {
  return text.replace(OBEYED, (character) => (character === '\n' ? '\\n' : escaped(character)));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
