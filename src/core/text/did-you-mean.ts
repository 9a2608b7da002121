/** Characters of a word for each typing mistake that is forgiven; one mistake always is. */
const CHARACTERS_PER_MISTAKE = 3;
/** Words further away than this are not worth suggesting. */
const DISTANCE_MAX = 3;
/** A shorter text is near too many words. */
const WORD_LENGTH_MIN = 3;

/** The known word that a typo, or its own beginning, most likely meant, if one is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const small = word.toLowerCase();
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(small, candidate);
    const isNear = isFewMistakes(small, candidate, distance) || isBeginning(small, candidate);
    if (isNear && (best === undefined || distance < best.distance)) {
      best = { word: candidate, distance };
    }
  }
  return best?.word;
}

/** Whether a word is another one but for a typo: its beginning alone does not count here. */
export function isMisspelling(word: string, known: string): boolean {
  const small = word.toLowerCase();
  return isFewMistakes(small, known, editDistance(small, known));
}

function isFewMistakes(word: string, candidate: string, distance: number): boolean {
  const length = Math.min(word.length, candidate.length);
  const forgiven = Math.max(1, Math.floor(length / CHARACTERS_PER_MISTAKE));
  return length >= WORD_LENGTH_MIN && distance <= Math.min(DISTANCE_MAX, forgiven);
}

function isBeginning(word: string, candidate: string): boolean {
  return word.length >= WORD_LENGTH_MIN && candidate.startsWith(word);
}

/**
 * Characters that were changed, added, left out or exchanged with their neighbour (Damerau and
 * Levenshtein, each character moved once at most), one row at a time.
 */
function editDistance(a: string, b: string): number {
  let beforePrevious: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const insertion = (current[column - 1] ?? 0) + 1;
      const deletion = (previous[column] ?? 0) + 1;
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swap = isSwapped ? (beforePrevious[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      current.push(Math.min(substitution, insertion, deletion, swap));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
