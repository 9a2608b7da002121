import * as z from 'zod';
import { Config, type Described, type SettingMeta } from './schema.ts';

export type SettingType = 'string' | 'boolean' | 'integer' | 'enum' | 'map' | 'list';

/** One setting, as flags, docs and `config show` need it. */
export interface Setting {
  /** Dotted path in the file: `control_plane.url`. */
  readonly path: string;
  readonly type: SettingType;
  /** The values that an enum allows. */
  readonly values: readonly string[];
  readonly default: unknown;
  readonly meta: SettingMeta & { readonly flag?: SettingFlag };
}

type Sections = typeof Config.shape;
type FieldsOf<Section> =
  Section extends z.ZodPrefault<z.ZodObject<infer Fields>> ? Fields[keyof Fields] : never;
type Field = { [Name in keyof Sections]: FieldsOf<Sections[Name]> }[keyof Sections];
type FlagOf<F> =
  F extends Described<{ readonly flag: infer Name extends string } & SettingMeta> ? Name : never;
type FlagType<F> = F extends z.ZodType<boolean> ? 'boolean' : 'string';

/** What the flag of each setting takes, by its name: `{ traefik: 'boolean', port: 'string', … }`. */
export type SettingFlagTypes = { readonly [F in Field as FlagOf<F>]: FlagType<F> };
export type SettingFlag = keyof SettingFlagTypes;
/** Flags of settings that only servers have. */
export type ServerFlag = FlagOf<
  Extract<Field, Described<SettingMeta & { readonly serverOnly: true }>>
>;

/** All settings, in the order of the schema. */
export function describeSettings(): readonly Setting[] {
  return Object.entries(Config.shape).flatMap(([section, fields]) =>
    Object.entries(fields.unwrap().shape).map(([name, field]) =>
      describeField(`${section}.${name}`, field),
    ),
  );
}

/** The value of each setting by its dotted path; null where there is none. */
export function settingValues(config: Config): Readonly<Record<string, unknown>> {
  const sections = config as unknown as Record<string, Record<string, unknown>>;
  return Object.fromEntries(
    describeSettings().map(({ path }) => {
      const [section = '', name = ''] = path.split('.');
      return [path, sections[section]?.[name] ?? null];
    }),
  );
}

/** Read from the schema itself: making a JSON Schema of it takes 8 ms of each start. */
function describeField(path: string, field: z.ZodType): Setting {
  const kind = withoutDefault(field);
  return {
    path,
    type: typeOf(kind),
    values: kind instanceof z.ZodEnum ? kind.options.map(String) : [],
    default: field instanceof z.ZodDefault ? field.def.defaultValue : undefined,
    // Each field is made by `setting()`, which takes exactly this.
    meta: field.meta() as Setting['meta'],
  };
}

function withoutDefault(field: z.ZodType): z.core.$ZodType {
  return field instanceof z.ZodDefault || field instanceof z.ZodOptional ? field.unwrap() : field;
}

function typeOf(kind: z.core.$ZodType): SettingType {
  if (kind instanceof z.ZodEnum) {
    return 'enum';
  }
  if (kind instanceof z.ZodBoolean) {
    return 'boolean';
  }
  if (kind instanceof z.ZodNumber) {
    return 'integer';
  }
  if (kind instanceof z.ZodArray) {
    return 'list';
  }
  return kind instanceof z.ZodRecord ? 'map' : 'string';
}
