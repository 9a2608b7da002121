/**
 * A text without the repeated character at its end. `replace(/x+$/, '')` may take time in the
 * square of the text's length.
 */
export function withoutEnd(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) {
    end -= 1;
  }
  return text.slice(0, end);
}
