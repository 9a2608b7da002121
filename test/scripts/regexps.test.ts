import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { regexpsOf, type SourceRegexp } from '../support/source-regexps.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { worstTexts } from '../support/worst-texts.ts';

const SOURCES = join(import.meta.dir, '../../src');
/** At this length the square of it is seen, and tells which texts are the worst. */
const SHORT_LENGTH = 1_024;
const MIDDLE_LENGTH = 16 * 1024;
const WORST_MAX = 2;
/** As long as any text that is read as one. */
const LONG_LENGTH = 1024 * 1024;
/**
 * Settings, command lines and files of root: nobody else writes them, and none is that long. And what a
 * subcommand shows: no event loop waits for it, and the daemon shows only lines that were cut.
 */
const OWN_LENGTH = 64 * 1024;
const OWN =
  /^(?:cli|config|host|machine)\/|^core\/(?:proxy-settings|text\/(?:duration|named-secrets|yaml-keys|visible))\.ts|^server\/self-signed|^store\/database/;
/** Texts that are cut before they are looked at; the constant says to what length. */
const CUT: Readonly<Record<string, readonly [lengthMax: number, constant: string]>> = {
  'platform/log.ts': [8_192, 'LINE_LENGTH_MAX = 8_192'],
  'platform/network/dial-error.ts': [128, 'NAME_LENGTH_MAX = 128'],
  // But for the beginnings of texts, where any length costs the same.
  'protocol/intermediary.ts': [64 * 1024, 'NAME_LENGTH_MAX = 64'],
  'protocol/session/request-limit.ts': [64, 'TEXT_LENGTH_MAX = 64'],
};
/** A slice in which nothing else happens, ms. */
const SLICE_MS_MAX = 20;
const TRIES = 5;

/** Processor time that one use of it takes; the least of some tries. */
function costMs(expression: RegExp, text: string): number {
  const costs = Array.from({ length: TRIES }, () => {
    const began = process.cpuUsage();
    if (expression.global) {
      text.replace(expression, '');
    } else {
      expression.test(text);
    }
    return process.cpuUsage(began).user / 1_000;
  });
  return Math.min(...costs);
}

function lengthFor({ at }: SourceRegexp): number {
  const [cut] = CUT[at.split(':')[0] ?? ''] ?? [];
  return cut ?? (OWN.test(at) ? OWN_LENGTH : LONG_LENGTH);
}

/** @returns what the worst of the worst texts costs */
function worstCostMs(regexp: SourceRegexp): number {
  const expression = new RegExp(regexp.source, regexp.flags);
  const length = lengthFor(regexp);
  const costs: { readonly index: number; readonly ms: number }[] = [];
  for (const text of worstTexts(regexp.source, Math.min(SHORT_LENGTH, length))) {
    const began = performance.now();
    expression.lastIndex = 0;
    expression.global ? text.replace(expression, '') : expression.test(text);
    costs.push({ index: costs.length, ms: performance.now() - began });
  }
  costs.sort((one, other) => other.ms - one.ms);
  const worst = new Set(costs.slice(0, WORST_MAX).map(({ index }) => index));
  const most = (textLength: number) => {
    const texts = worstTexts(regexp.source, textLength, (index) => worst.has(index));
    return Math.max(...[...texts].map((text) => costMs(expression, text)));
  };
  // What takes the square of the length would take minutes for a long one.
  for (let shorter = MIDDLE_LENGTH; shorter < length; shorter *= 4) {
    const ms = most(shorter);
    if (ms > SLICE_MS_MAX) {
      return ms;
    }
  }
  return most(length);
}

test('no regular expression of the sources holds the event loop, whatever it reads', async () => {
  const { literals } = await regexpsOf(SOURCES);
  const slow: string[] = [];
  const known = new Map<string, number>();
  for (const regexp of literals) {
    const key = `/${regexp.source}/${regexp.flags} ${lengthFor(regexp)}`;
    const ms = known.get(key) ?? worstCostMs(regexp);
    known.set(key, ms);
    if (ms > SLICE_MS_MAX) {
      slow.push(`${regexp.at} ${key}: ${Math.round(ms)} ms`);
    }
  }
  expect(slow).toEqual([]);
  expect(literals.length).toBeGreaterThan(100);
}, 300_000);

/** Slashes that begin no expression, and quotes within one. */
const SAMPLE = String.raw`
// a comment with /no/ expression
const half = 1 / 2 / 3;
const spaces = text.replace(/\s+$/, '');
const several = [/[/\]"]+/g, "/no/", 'it\'s /no/'];
const template = \`/no/ \${half / 2} \${
  [/a\`b/u].length
} /no/\`;
const last = () => /(?:Bearer\s+)x/.test(text);

const made = new RegExp(text, 'm');
`;

test('the script finds them all, and the slow ones among them', async () => {
  await using directory = await tempDirectory();
  await Bun.write(
    join(directory.path, 'sample.ts'),
    SAMPLE.replaceAll('\\`', '`').replaceAll('\\$', '$'),
  );
  const { literals, made } = await regexpsOf(directory.path);
  expect(literals.map(({ at, source, flags }) => [at, source, flags])).toEqual([
    ['sample.ts:4', '\\s+$', ''],
    ['sample.ts:5', '[/\\]"]+', 'g'],
    ['sample.ts:7', 'a`b', 'u'],
    ['sample.ts:9', '(?:Bearer\\s+)x', ''],
  ]);
  expect(made).toEqual(['sample.ts:11']);
  const slow = literals.filter(
    (each) => worstCostMs({ ...each, at: 'core/x.ts:1' }) > SLICE_MS_MAX,
  );
  expect(slow.map(({ source }) => source)).toEqual(['\\s+$']);
}, 300_000);

test.each(Object.entries(CUT))('%s cuts what it reads', async (file, [, constant]) => {
  expect(await Bun.file(join(SOURCES, file)).text()).toContain(constant);
});

test('an expression that is made at run time is one of these', async () => {
  const { made } = await regexpsOf(SOURCES);
  expect([...new Set(made.map((at) => at.split(':')[0]))]).toEqual([
    'host/engine/systemctl.ts', // What systemd says.
    'host/k3s/proxy.ts', // A file of root's own.
    'protocol/commands/fields.ts', // Domain names of at most 253 characters.
    'protocol/dns-subdomain.ts', // Names of at most 253 characters.
  ]);
});
