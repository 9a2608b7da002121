import type { ProgramDocument } from '../help/document.ts';

export interface FirstWord {
  readonly word: string;
  readonly summary: string;
  /** What may follow it; empty where the word is a subcommand itself. */
  readonly seconds: readonly { readonly word: string; readonly summary: string }[];
}

/** The words that may come first: `install`, and `token` once for its three. */
export function firstWordsOf({ subcommands }: ProgramDocument): readonly FirstWord[] {
  const firsts = new Map<string, FirstWord>();
  for (const { name, summary } of subcommands) {
    const [word = '', second] = name.split(' ');
    if (second === undefined) {
      firsts.set(word, { word, summary, seconds: [] });
    } else {
      const seconds = [...(firsts.get(word)?.seconds ?? []), { word: second, summary }];
      const all = seconds.map((each) => each.word).join(', ');
      firsts.set(word, { word, summary: `${word} ${all}`, seconds });
    }
  }
  return [...firsts.values()];
}
