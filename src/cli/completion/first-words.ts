import type { ProgramDocument } from '../help/document.ts';

export interface FirstWord {
  readonly word: string;
  readonly summary: string;
  /** Whether it is a subcommand without a second word. */
  readonly isSubcommand: boolean;
  /** What may follow it. */
  readonly seconds: readonly { readonly word: string; readonly summary: string }[];
}

/** The words that may come first: `install`, `token` once for its three, `upgrade` with what may follow it. */
export function firstWordsOf({ subcommands }: ProgramDocument): readonly FirstWord[] {
  const firsts = new Map<string, FirstWord>();
  for (const { name, summary } of subcommands) {
    const [word = '', second] = name.split(' ');
    const known = firsts.get(word);
    if (second === undefined) {
      firsts.set(word, { seconds: [], ...known, word, summary, isSubcommand: true });
      continue;
    }
    const seconds = [...(known?.seconds ?? []), { word: second, summary }];
    const all = `${word} ${seconds.map((each) => each.word).join(', ')}`;
    const isSubcommand = known?.isSubcommand === true;
    const told = isSubcommand ? known.summary : all;
    firsts.set(word, { word, summary: told, isSubcommand, seconds });
  }
  return [...firsts.values()];
}
