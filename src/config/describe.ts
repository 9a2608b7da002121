import { z } from 'zod';
import { Config, type SettingMeta } from './schema.ts';

export type SettingType = 'string' | 'boolean' | 'integer' | 'enum' | 'map';

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
  const schema = z.toJSONSchema(Config, { io: 'input' });
  const settings: Setting[] = [];
  for (const [section, sectionSchema] of Object.entries(propertiesOf(schema))) {
    for (const [name, field] of Object.entries(propertiesOf(sectionSchema))) {
      settings.push(describeField(`${section}.${name}`, field));
    }
  }
  return settings;
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

function propertiesOf(schema: JsonSchema): Record<string, JsonSchema> {
  // Every schema here is an object schema of our own; booleans do not occur.
  return (schema.properties ?? {}) as Record<string, JsonSchema>;
}

function describeField(path: string, field: JsonSchema): Setting {
  return {
    path,
    type: typeOf(field),
    values: (field.enum ?? []).map(String),
    default: field.default,
    // `.meta()` of the schema takes exactly a SettingMeta; zod copies it into the JSON Schema.
    meta: field as unknown as SettingMeta,
  };
}

function typeOf(field: JsonSchema): SettingType {
  if (field.enum !== undefined) {
    return 'enum';
  }
  switch (field.type) {
    case 'boolean':
      return 'boolean';
    case 'integer':
      return 'integer';
    case 'object':
      return 'map';
    default:
      return 'string';
  }
}
