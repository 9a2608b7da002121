/** YAML as people and tools write it, with all that reads differently in YAML 1.1, 1.2 and JSON. */
import type { Random } from '../../src/core/ports.ts';

const PLAIN = [
  ...[
    'yes',
    'no',
    'on',
    'off',
    'y',
    'N',
    'Yes',
    'TRUE',
    'true',
    'False',
    'yEs',
    'null',
    '~',
    'Null',
  ],
  ...['0400', '0o400', '0x1F', '0X1f', '-0x1F', '0b101', '-0b11', '08', '0777', '00', '-0', '+5'],
  ...['1_000', '_1', '0_7', '1__0', '1e3', '1E-3', '1e', '1.5', '.5', '-.5', '5.', '+.5', '1.2.3'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809'],
  ...[
    '18446744073709551615',
    '18446744073709551616',
    '9007199254740993',
    '1e400',
    '123456789012345678',
  ],
  ...['12:30:45', '190:20:30', '2026-01-01', '2026-01-01T00:00:00Z', '1Gi', '500m', '10%', '0.1'],
  ...[
    'web',
    'a b',
    'a#b',
    'a: b'.replace(': ', ':'),
    'http://x/y?z=1&w',
    '=',
    '<<x',
    '-',
    'a-b',
    '.',
    '..',
  ],
  ...[
    '0x',
    '0b',
    '0o',
    '0b2',
    '0o8',
    '+',
    '-1',
    '- 1'.replace(' ', ''),
    '1,2',
    'é',
    '日本',
    '😀',
    '0.0',
    '1.0',
  ],
];
const QUOTED = [
  ...[
    '"0400"',
    "'no'",
    '""',
    "''",
    '"a\\nb"',
    '"\\u00e9"',
    '"\\x41"',
    "'it''s'",
    '"tab\\t"',
    '"a\\"b"',
  ],
  ...['!!str 0400', '!!str no', '!!int "12"', '!!float 5', '"\\/"', '"$HOME"', "'{}'", '"# no"'],
];
const KEYS = [
  ...[
    'a',
    'b',
    'name',
    'kind',
    'x-y',
    'yes',
    'on',
    '1',
    '0400',
    '1.5',
    '"q"',
    "'s'",
    'true',
    'a.b/c',
  ],
  ...['a', 'b', '__proto__', 'constructor', '"a b"', '0x10', 'é', '9007199254740993'],
];
const DEPTH_MAX = 4;

/** One document, with a map at its root. */
export function generatedYaml(random: Random): string {
  const below = (count: number) => Math.floor(random.fraction() * count);
  const pick = (all: readonly string[]) => all[below(all.length)] ?? '';
  const maybe = (chance: number) => random.fraction() < chance;
  const anchors: string[] = [];
  const scalar = () => (maybe(0.7) ? pick(PLAIN) : pick(QUOTED));
  const comment = () => (maybe(0.1) ? ' # a comment' : '');

  const flow = (depth: number): string => {
    const items = Array.from({ length: below(3) }, () =>
      depth < DEPTH_MAX && maybe(0.3) ? flow(depth + 1) : flowScalar(),
    );
    return maybe(0.5)
      ? `[${items.join(', ')}]`
      : `{${items.map((item) => `${pick(KEYS)}: ${item}`).join(', ')}}`;
  };
  const flowScalar = () => {
    const text = scalar();
    return /[,[\]{}]/.test(text) && !/^['"]/.test(text) ? '"x"' : text;
  };
  const text = (indent: string): string => {
    const head = `${maybe(0.5) ? '|' : '>'}${pick(['', '-', '+'])}`;
    const lines = Array.from({ length: 1 + below(3) }, () =>
      maybe(0.15)
        ? ''
        : `${indent}${pick(['', '', '  '])}${pick(['line', '# no comment', 'a: b', '- x'])}`,
    );
    return `${head}\n${indent}first\n${lines.join('\n')}`;
  };
  const value = (indent: string, depth: number): string => {
    const kind = random.fraction();
    if (depth >= DEPTH_MAX || kind < 0.5) {
      return ` ${scalar()}${comment()}`;
    }
    if (kind < 0.6) {
      return ` ${flow(depth)}${comment()}`;
    }
    if (kind < 0.68) {
      return ` ${text(`${indent}  `)}`;
    }
    if (kind < 0.72 && anchors.length > 0) {
      return ` *${pick(anchors)}`;
    }
    if (kind < 0.76) {
      return maybe(0.5) ? '' : ' {}';
    }
    const anchor = maybe(0.15) ? `a${anchors.length}` : undefined;
    const nested = maybe(0.5) ? map(`${indent}  `, depth + 1) : list(`${indent}  `, depth + 1);
    if (anchor !== undefined) {
      anchors.push(anchor);
    }
    return `${anchor === undefined ? '' : ` &${anchor}`}${comment()}\n${nested}`;
  };
  const map = (indent: string, depth: number): string =>
    Array.from(
      { length: 1 + below(4) },
      () => `${indent}${pick(KEYS)}:${value(indent, depth)}`,
    ).join('\n');
  const list = (indent: string, depth: number): string =>
    Array.from({ length: 1 + below(3) }, () => `${indent}-${value(indent, depth)}`).join('\n');
  return `${map('', 0)}\n`;
}
