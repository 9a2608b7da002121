import { didYouMean, isMisspelling } from '../core/text/did-you-mean.ts';
import { lineOf, yamlKeys } from '../core/text/yaml-keys.ts';
import { describeSettings, type Setting } from './describe.ts';

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

export interface ToldKeys {
  /** Of keys that are ignored, each as a sentence for a person. */
  readonly warnings: readonly string[];
  /** Of keys that are refused. */
  readonly problems: readonly string[];
}

/**
 * For a person, about each unknown key: `line 4: http.prot: is not a setting and is ignored, did you
 * mean "http.port"?` It may be a setting of a newer version. Only where it nearly names a setting that
 * protects, and that nobody has set, it is refused: the machine would run unprotected.
 * @param isSet whether somebody has set this setting, by its dotted path
 */
export function tellUnknown(
  unknown: RawConfig,
  text: string,
  isSet: (path: string) => boolean,
): ToldKeys {
  const keys = yamlKeys(text);
  const settings = describeSettings();
  const protecting = settings.filter(({ path, meta }) => meta.protects === true && !isSet(path));
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const { path, section, known } of unknownKeys(unknown, settings)) {
    const at = `${lineOf(keys, path)}${path}: is not a setting`;
    const meant = protecting.find((setting) => isMeant(setting.path, path, section));
    if (meant === undefined) {
      const suggestion = didYouMean(path, known);
      const hint = suggestion === undefined ? '' : `, did you mean "${suggestion}"?`;
      warnings.push(`${at} and is ignored${hint}`);
    } else {
      problems.push(
        `${at}, did you mean "${meant.path}"? That one protects this machine, and is not set`,
      );
    }
  }
  const more = warnings.length - TOLD_MAX;
  return {
    warnings:
      more > 0 ? [...warnings.slice(0, TOLD_MAX), `and ${more} more of the kind`] : warnings,
    problems,
  };
}

interface UnknownKey {
  readonly path: string;
  /** What stands below it, where it would be a section of its own. */
  readonly section: unknown;
  /** What may have been meant. */
  readonly known: readonly string[];
}

function unknownKeys(unknown: RawConfig, settings: readonly Setting[]): readonly UnknownKey[] {
  const paths = settings.map(({ path }) => path);
  const sections = [...new Set(paths.map(sectionOf))];
  return Object.entries(unknown).flatMap(([name, section]): UnknownKey[] =>
    sections.includes(name) && isSection(section)
      ? Object.keys(section).map((key) => ({
          path: `${name}.${key}`,
          section: undefined,
          known: paths,
        }))
      : [{ path: name, section, known: sections }],
  );
}

/** Whether a key, a misspelt section or a key outside of its section nearly names this setting. */
function isMeant(setting: string, path: string, section: unknown): boolean {
  const [settingSection = '', settingKey = ''] = setting.split('.');
  const [first = '', ...key] = path.split('.');
  if (key.length > 0) {
    return first === settingSection && isMisspelling(key.join('.'), settingKey);
  }
  const isNearSection = isSection(section) && isMisspelling(first, settingSection);
  const below = isNearSection ? Object.keys(section) : [];
  return isMisspelling(first, settingKey) || below.some((each) => isMisspelling(each, settingKey));
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
