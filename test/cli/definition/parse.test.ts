import { describe, expect, test } from 'bun:test';
import { parseSubcommandArgs } from '../../../src/cli/definition/parse.ts';
import { failureOf } from '../../support/failure-of.ts';

const DEFINITION = {
  name: 'paint',
  flags: {
    colour: { type: 'string', description: 'What colour' },
    'colour-file': { type: 'string', description: 'A file with it' },
    dry: { type: 'boolean', description: 'Without paint' },
    brush: { type: 'string', description: 'Which brush', default: 'wide' },
    loud: { type: 'boolean', description: 'With music', default: false },
  },
  words: [
    { name: 'WALL', description: 'which wall', required: true },
    { name: 'COAT', description: 'which coat', required: false },
  ],
} as const;

/** What is not given, but has a default. */
const USUAL = { brush: 'wide', loud: false };

const parse = (...words: string[]) => parseSubcommandArgs(DEFINITION, words);

describe('parseSubcommandArgs() takes', () => {
  test.each([
    ['a flag and its value as two words', ['north', '--colour', 'red'], { colour: 'red' }],
    ['a flag and its value as one word', ['north', '--colour=red=ish'], { colour: 'red=ish' }],
    ['a value that is a dash', ['north', '--colour-file', '-'], { 'colour-file': '-' }],
    ['a value that begins with a dash', ['north', '--colour', '-red'], { colour: '-red' }],
    ['a switch', ['--dry', 'north'], { dry: true }],
    ['a switch that is turned off', ['north', '--no-dry'], { dry: false }],
    ['a switch with its value', ['north', '--dry=false'], { dry: false }],
    ['a switch that is turned on', ['north', '--dry=true'], { dry: true }],
    ['nothing that was not given', ['north'], {}],
  ])('%s', (_, words, flags) => {
    expect(parse(...words)).toEqual({ flags: { ...USUAL, ...flags }, words: { WALL: 'north' } });
  });

  test('an optional word, and words behind -- as they are', () => {
    expect(parse('north', 'second')).toEqual({
      flags: USUAL,
      words: { WALL: 'north', COAT: 'second' },
    });
    expect(parse('--colour', 'red', '--', 'north', '--odd')).toEqual({
      flags: { ...USUAL, colour: 'red' },
      words: { WALL: 'north', COAT: '--odd' },
    });
  });
});

test('parseSubcommandArgs() repeats no word in the place of what may be a secret', async () => {
  const joining = { ...DEFINITION, name: 'join', words: [] };
  const flags = { 'token-file': { type: 'string', description: 'A file' } } as const;
  const failure = await failureOf(() =>
    parseSubcommandArgs({ ...joining, flags }, ['abcdef.0123456789abcdef']),
  );
  expect({ code: failure.code, message: failure.message, hint: failure.hint }).toEqual({
    code: 'USAGE',
    message: '"join" takes flags, and no other word',
    hint: 'If it was a token: give it in a file, with --token-file FILE',
  });
});

describe('parseSubcommandArgs() refuses', () => {
  const SEE = 'See: pipeops-agent paint --help';
  test.each([
    [
      'a flag that is near to another',
      ['--color', 'x'],
      '--color',
      `Did you mean --colour? ${SEE}`,
    ],
    ['a flag that is near to none', ['--zzzzzzzz=1'], '--zzzzzzzz', SEE],
    ['a short flag', ['-d'], '-d', SEE],
    ['a flag with one dash', ['-dry'], '-dry', `Did you mean --dry? ${SEE}`],
    ['the negation of a flag with a value', ['--no-colour'], '--no-colour', undefined],
    ['a name that every object has', ['--constructor'], '--constructor', SEE],
  ])('%s', async (_, words, shown, hint) => {
    const { code, message, hint: given } = await failureOf(() => parse('north', ...words));
    expect({ code, message }).toEqual({
      code: 'UNKNOWN_FLAG',
      message: `"paint" has no flag ${shown}`,
    });
    expect(given).toEndWith(hint ?? SEE);
  });

  test.each([
    ['a flag at the end without its value', ['north', '--colour'], '--colour needs a value'],
    ['a switch with another value', ['north', '--dry=no'], '--dry is true or false'],
    ['a switch with an empty value', ['north', '--dry='], '--dry is true or false'],
    ['a negation with a value', ['north', '--no-dry=false'], '--no-dry takes no value'],
    ['a flag in the place of a value', ['north', '--colour', '--dry'], '--colour needs a value'],
    [
      'a word too many',
      ['north', 'first', 'extra'],
      'Cannot use "extra": "paint" takes no such word',
    ],
    ['a word too few', ['--dry'], '"paint" needs WALL: which wall'],
  ])('%s', async (_, words, expected) => {
    const { code, message, hint } = await failureOf(() => parse(...words));
    expect({ code, message, hint }).toEqual({ code: 'USAGE', message: expected, hint: SEE });
  });
});

test('the types of the arguments are those of the definition', async () => {
  const { flags, words } = parse('north');
  // What does not fit here is an error of the compiler.
  const colour: string | undefined = flags.colour;
  const dry: boolean | undefined = flags.dry;
  const brush: string = flags.brush;
  const loud: boolean = flags.loud;
  const wall: string = words.WALL;
  const coat: string | undefined = words.COAT;
  expect({ colour, dry, brush, loud, wall, coat }).toEqual({
    colour: undefined,
    dry: undefined,
    brush: 'wide',
    loud: false,
    wall: 'north',
    coat: undefined,
  });
  // @ts-expect-error: what may be absent is no text
  const text: string = flags.colour;
  // @ts-expect-error: a switch is no text
  const switched: string | undefined = flags.dry;
  // @ts-expect-error: there is no such flag
  const unknown = flags.color;
  // @ts-expect-error: an optional word may be absent
  const second: string = words.COAT;
  expect([text, switched, unknown, second]).toEqual([undefined, undefined, undefined, undefined]);
});
