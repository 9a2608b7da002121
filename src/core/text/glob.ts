/**
 * Matches a whole text against a pattern in which `*` stands for any characters. Without regular
 * expressions: the time is bounded by the product of both lengths, whatever the text.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let retryAt = 0;
  while (at < text.length) {
    if (pattern[patternAt] === '*') {
      starAt = patternAt;
      retryAt = at;
      patternAt += 1;
    } else if (pattern[patternAt] === text[at]) {
      patternAt += 1;
      at += 1;
    } else if (starAt >= 0) {
      // Let the star take one more character.
      retryAt += 1;
      at = retryAt;
      patternAt = starAt + 1;
    } else {
      return false;
    }
  }
  while (pattern[patternAt] === '*') {
    patternAt += 1;
  }
  return patternAt === pattern.length;
}
