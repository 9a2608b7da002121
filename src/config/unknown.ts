import { didYouMean } from '../core/text/did-you-mean.ts';
import { lineOf, yamlKeys } from '../core/text/yaml-keys.ts';
import { describeSettings } from './describe.ts';

/** Unknown keys of a file that are reported; the rest is left out. */
const TOLD_MAX = 20;

type Section = Readonly<Record<string, unknown>>;
/** A file as it was parsed; what is not a section is kept as it is. */
export type RawConfig = Readonly<Record<string, unknown>>;

/**
 * Splits a file into what this version knows and what it does not: a mistake, or a setting of a
 * newer version.
 */
export function splitUnknown(file: RawConfig): {
  readonly known: RawConfig;
  readonly unknown: RawConfig;
} {
  const paths = new Set(describeSettings().map(({ path }) => path));
  const sections = new Set([...paths].map(sectionOf));
  const known: (readonly [string, unknown])[] = [];
  const unknown: (readonly [string, unknown])[] = [];
  for (const [name, section] of Object.entries(file)) {
    if (!sections.has(name)) {
      unknown.push([name, section]);
    } else if (!isSection(section)) {
      known.push([name, section]); // The schema says what is wrong with it.
    } else {
      const [ours, others] = partition(section, (key) => paths.has(`${name}.${key}`));
      known.push([name, ours]);
      unknown.push(...(Object.keys(others).length > 0 ? [[name, others] as const] : []));
    }
  }
  return { known: Object.fromEntries(known), unknown: Object.fromEntries(unknown) };
}

/** What a file should hold, together with its present keys that are not known here. */
export function withUnknown(wanted: RawConfig, file: RawConfig): RawConfig {
  const more = Object.entries(splitUnknown(file).unknown).map(([name, section]) => {
    const ours = wanted[name];
    return [name, isSection(ours) && isSection(section) ? { ...ours, ...section } : section];
  });
  return { ...wanted, ...Object.fromEntries(more) };
}

/**
 * For a person, about each unknown key: `line 4: http.prot: is not a setting and is ignored, did
 * you mean "http.port"?`
 */
export function tellUnknown(unknown: RawConfig, text: string): readonly string[] {
  const keys = yamlKeys(text);
  const paths = describeSettings().map(({ path }) => path);
  const sections = [...new Set(paths.map(sectionOf))];
  const tell = (path: string, known: readonly string[]) => {
    const suggestion = didYouMean(path, known);
    const hint = suggestion === undefined ? '' : `, did you mean "${suggestion}"?`;
    return `${lineOf(keys, path)}${path}: is not a setting and is ignored${hint}`;
  };
  const all = Object.entries(unknown).flatMap(([name, section]) =>
    sections.includes(name) && isSection(section)
      ? Object.keys(section).map((key) => tell(`${name}.${key}`, paths))
      : [tell(name, sections)],
  );
  const more = all.length - TOLD_MAX;
  return more > 0 ? [...all.slice(0, TOLD_MAX), `and ${more} more of the kind`] : all;
}

function partition(section: Section, isKnown: (key: string) => boolean): [Section, Section] {
  const entries = Object.entries(section);
  return [
    Object.fromEntries(entries.filter(([key]) => isKnown(key))),
    Object.fromEntries(entries.filter(([key]) => !isKnown(key))),
  ];
}

function sectionOf(path: string): string {
  return path.split('.')[0] ?? '';
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
