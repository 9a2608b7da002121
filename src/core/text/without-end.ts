/** A text without the same character at its end again and again: `replace(/x+$/, '')` may take the square of its length. */
export function withoutEnd(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) {
    end -= 1;
  }
  return text.slice(0, end);
}
