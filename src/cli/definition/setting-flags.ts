import {
  describeSettings,
  type ServerFlag,
  type Setting,
  type SettingFlagTypes,
} from '../../config/describe.ts';
import { DEFAULT_PLACES } from '../../core/places.ts';
import type { FlagDefinition } from './arguments.ts';

/** Every subcommand that reads the configuration takes this one. */
const CONFIG_FLAG = {
  type: 'string',
  description: `Configuration file (default ${DEFAULT_PLACES.configFile})`,
  valueHint: 'FILE',
} as const;

type SettingFlags = { readonly config: typeof CONFIG_FLAG } & {
  readonly [Flag in keyof SettingFlagTypes]: FlagDefinition & {
    readonly type: SettingFlagTypes[Flag];
  };
};

/** The flags of all settings that have one, plus `--config`. */
export function settingFlags(): SettingFlags {
  return flagsOf(describeSettings()) as SettingFlags; // Types and values come from one schema.
}

/** The flags that matter on a worker. */
export function workerSettingFlags(): Omit<SettingFlags, ServerFlag> {
  const settings = describeSettings().filter(({ meta }) => meta.serverOnly !== true);
  return flagsOf(settings) as Omit<SettingFlags, ServerFlag>;
}

function flagsOf(settings: readonly Setting[]): Readonly<Record<string, FlagDefinition>> {
  const flags: Record<string, FlagDefinition> = { config: CONFIG_FLAG };
  for (const setting of settings) {
    if (setting.meta.flag !== undefined) {
      flags[setting.meta.flag] = flagOf(setting);
    }
  }
  return flags;
}

function flagOf({ type, values, meta }: Setting): FlagDefinition {
  const { description } = meta;
  if (type === 'boolean') {
    return { type, description };
  }
  const valueHint = values.length > 0 ? values.join('|') : (meta.valueHint ?? type.toUpperCase());
  return { type: 'string', description, valueHint, values, repeatable: type === 'list' };
}
