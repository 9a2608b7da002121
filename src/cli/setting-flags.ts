import { describeSettings } from '../config/describe.ts';
import { type ConfigInputs, type LoadedConfig, loadConfig } from '../config/load.ts';
import { CONFIG_PATH } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import type { Files } from '../core/ports.ts';
import type { FlagDefinition } from './define-subcommand.ts';

/** Every subcommand that reads the configuration takes this one. */
export const CONFIG_FLAG: FlagDefinition = {
  type: 'string',
  description: `Configuration file (default ${CONFIG_PATH})`,
  placeholder: 'FILE',
};

/** The flags of all settings that have one, plus `--config`. */
export function settingFlags(): Readonly<Record<string, FlagDefinition>> {
  const flags: Record<string, FlagDefinition> = { config: CONFIG_FLAG };
  for (const setting of describeSettings()) {
    if (setting.meta.flag !== undefined) {
      flags[setting.meta.flag] = {
        type: setting.type === 'boolean' ? 'boolean' : 'string',
        description: setting.meta.description,
        placeholder:
          setting.values.length > 0 ? setting.values.join('|') : setting.type.toUpperCase(),
      };
    }
  }
  return flags;
}

/**
 * The effective configuration of a subcommand.
 * @throws AgentError CONFIG_INVALID; FILE_ACCESS or NOT_FOUND for the file
 */
export async function loadEffectiveConfig(
  deps: { readonly files: Files; readonly env: ConfigInputs['env'] },
  flags: ConfigInputs['flags'],
): Promise<LoadedConfig> {
  const filePath = typeof flags['config'] === 'string' ? flags['config'] : CONFIG_PATH;
  const fileText = await deps.files.readText(filePath);
  if (fileText === undefined && flags['config'] !== undefined) {
    throw new AgentError('NOT_FOUND', `Cannot find the configuration file ${filePath}`, {
      hint: 'Check the path given with --config',
    });
  }
  return loadConfig({ flags, env: deps.env, fileText, filePath });
}
