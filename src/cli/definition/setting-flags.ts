import { describeSettings, type Setting } from '../../config/describe.ts';
import { CONFIG_PATH } from '../../config/schema.ts';
import type { FlagDefinition } from './subcommand.ts';

/** Every subcommand that reads the configuration takes this one. */
const CONFIG_FLAG: FlagDefinition = {
  type: 'string',
  description: `Configuration file (default ${CONFIG_PATH})`,
  placeholder: 'FILE',
};

/** The flags of all settings that have one, plus `--config`. */
export function settingFlags(): Readonly<Record<string, FlagDefinition>> {
  return flagsOf(describeSettings());
}

/** Those of them that matter on a worker. */
export function workerSettingFlags(): Readonly<Record<string, FlagDefinition>> {
  return flagsOf(describeSettings().filter(({ meta }) => meta.serverOnly !== true));
}

function flagsOf(settings: readonly Setting[]): Readonly<Record<string, FlagDefinition>> {
  const flags: Record<string, FlagDefinition> = { config: CONFIG_FLAG };
  for (const setting of settings) {
    if (setting.meta.flag !== undefined) {
      flags[setting.meta.flag] = {
        type: setting.type === 'boolean' ? 'boolean' : 'string',
        description: setting.meta.description,
        repeatable: setting.type === 'list',
        placeholder:
          setting.values.length > 0 ? setting.values.join('|') : setting.type.toUpperCase(),
      };
    }
  }
  return flags;
}
