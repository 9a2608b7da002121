import { didYouMean, isMisspelling } from '../core/text/did-you-mean.ts';
import { redact } from '../core/text/redact.ts';
import { lineOf, yamlKeys } from '../core/text/yaml-keys.ts';
import { describeSettings, type Setting } from './describe.ts';

/** At most so many unknown keys are reported. */
const TOLD_MAX = 20;

type Section = Readonly<Record<string, unknown>>;
/** A parsed file. A value that is not a section is kept as it is. */
export type RawConfig = Readonly<Record<string, unknown>>;

/**
 * Splits a file into the settings that this version knows and the rest. The rest may be mistakes or
 * settings of a newer version.
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

/** The wanted content of a file, with the unknown keys that are in it now. */
export function withUnknown(wanted: RawConfig, file: RawConfig): RawConfig {
  const more = Object.entries(splitUnknown(file).unknown).map(([name, section]) => {
    const ours = wanted[name];
    return [name, isSection(ours) && isSection(section) ? { ...ours, ...section } : section];
  });
  return { ...wanted, ...Object.fromEntries(more) };
}

export interface ToldKeys {
  /** One sentence for a person about each key that is ignored. */
  readonly warnings: readonly string[];
  /** The same about each key that is refused. */
  readonly problems: readonly string[];
}

/**
 * For a person, about each unknown key: `line 4: http.prot: is not a setting and is ignored, did you
 * mean "http.port"?` It may be a setting of a newer version. It is refused only if it nearly names a
 * setting that protects and that nobody has set, because the machine would then run unprotected.
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
    // A secret on a line of its own may look like a key.
    const at = `${lineOf(keys, path)}${redact(path)}: is not a setting`;
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
  /** Its value, if it may be a misspelt section. */
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

/** Whether a key nearly names this setting: itself, by a misspelt section, or outside of its section. */
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
