import * as z from 'zod';
import { Config, type SettingMeta } from './schema.ts';

export type SettingType = 'string' | 'boolean' | 'integer' | 'enum' | 'map' | 'list';

/** One setting, as flags, docs and `config show` need it. */
export interface Setting {
  /** Dotted path in the file: `control_plane.url`. */
  readonly path: string;
  readonly type: SettingType;
  /** For an enum: what may stand there. */
  readonly values: readonly string[];
  readonly default: unknown;
  readonly meta: SettingMeta;
}

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
    // `.meta()` of each field takes exactly a SettingMeta.
    meta: field.meta() as SettingMeta,
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
