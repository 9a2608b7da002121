/** Texts that are bad for a regular expression: its own words and what else texts are made of, again and again. */

const CHARACTERS = [
  ...['a', 'A', '0', 'f', ' ', '\n', '\t', '\r\n', '.', '-', '_', '/', '=', ':', ',', ';', '@'],
  ...[
    '%',
    '"',
    "'",
    '[',
    ']',
    '(',
    '*',
    '+',
    '~',
    '<',
    '\0',
    '\x7f',
    '\u00e9',
    '\ufffd',
    '\u{1f4a5}',
  ],
];
/** Behind a word; each run is as long as any that an expression asks for. */
const RUN_LENGTH = 64;
const RUNS = ['a', '0', ' ', '.'].map((each) => each.repeat(RUN_LENGTH));
const SEPARATORS = ['', '-', ' ', '.'];
const WORDS_MAX = 4;
/** Ends a run of everything that an expression may ask for. */
const NO_END = '\0';

/**
 * @param source of the expression
 * @param isWanted which of them are made, by their number
 */
export function* worstTexts(
  source: string,
  length: number,
  isWanted: (index: number) => boolean = () => true,
): Generator<string> {
  for (const [index, [first, pump, last]] of partsOf(source).entries()) {
    if (isWanted(index)) {
      yield `${first}${repeated(pump, length)}${last}${NO_END}`;
    }
  }
}

type Parts = readonly [first: string, pump: string, last: string];

function partsOf(source: string): readonly Parts[] {
  const words = wordsOf(source);
  const pumps = [
    ...CHARACTERS,
    ...words,
    ...words.flatMap((word) => [' ', '\n', 'a', '-'].map((each) => word + each)),
    ...words.flatMap((word) =>
      RUNS.flatMap((run) => SEPARATORS.map((separator) => word + run + separator)),
    ),
  ];
  return [
    ...pumps.map((pump) => ['', pump, ''] as const),
    ...words.flatMap((word) =>
      CHARACTERS.flatMap((each) => [[word, each, ''] as const, ['', each, word] as const]),
    ),
  ];
}

function repeated(pump: string, length: number): string {
  return pump.repeat(Math.ceil(length / pump.length)).slice(0, length);
}

/** What stands in it as it is, the longest first. */
function wordsOf(source: string): readonly string[] {
  const text = source
    .replace(/\[(?:\\.|[^\]\\])*\]/g, '\n')
    .replace(/\\(?:[dDwWsSbBnrtv0]|x..|u....|p\{\w+\})/g, '\n')
    .replace(/\{\d*,?\d*\}|\(\?[:=!<]+|[()|^$?*+]/g, '\n')
    .replaceAll('\\', '');
  const words = new Set(text.split('\n').filter((word) => word !== ''));
  return [...words].sort((one, other) => other.length - one.length).slice(0, WORDS_MAX);
}
