/**
 * Characters that a terminal or a log viewer obeys instead of showing: control characters of ASCII
 * and of Latin-1, those that change the direction of writing (Unicode UAX #9), and those that end a
 * line somewhere.
 */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * A text for a terminal: wherever it comes from, it is shown and not obeyed. Such a character is
 * replaced by its escape in JSON, so that a JSON document keeps its meaning. It is never removed: a
 * secret that contains one would become whole again, after the redaction.
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
