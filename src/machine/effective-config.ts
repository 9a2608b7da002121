import {
  type ConfigInputs,
  type LoadedConfig,
  loadConfig,
  type SettingFlagValues,
} from '../config/load.ts';
import { AgentError } from '../core/errors.ts';
import type { Places } from '../core/places.ts';
import type { Files } from '../core/ports.ts';

/** The flags of settings, and `--config`. */
export type ConfigFlags = SettingFlagValues & { readonly config?: string };

/** The file that `--config` names, or the usual one. */
export function configPathOf(
  { places }: { readonly places: Places },
  { config = places.configFile }: ConfigFlags,
): string {
  return config;
}

/** Tells a person about unknown keys in the file; empty if there are none. */
export function tellWarnings(
  deps: { readonly places: Places },
  { warnings }: Pick<LoadedConfig, 'warnings'>,
  flags: ConfigFlags,
): string {
  const lines = warnings.map((warning) => `  - ${warning}\n`).join('');
  return lines === ''
    ? ''
    : `${configPathOf(deps, flags)} has keys that are not known here:\n${lines}`;
}

/**
 * The effective configuration of a subcommand.
 * @throws AgentError CONFIG_INVALID; FILE_ACCESS or NOT_FOUND for the file
 */
export async function loadEffectiveConfig(
  deps: Pick<ConfigInputs, 'env' | 'hostname'> & { readonly files: Files; readonly places: Places },
  flags: ConfigFlags,
): Promise<LoadedConfig> {
  const filePath = configPathOf(deps, flags);
  const fileText = await deps.files.readText(filePath);
  if (fileText === undefined && flags.config !== undefined) {
    throw new AgentError('NOT_FOUND', `Cannot find the configuration file ${filePath}`, {
      hint: 'Check the path given with --config',
    });
  }
  return loadConfig({ flags, env: deps.env, hostname: deps.hostname, fileText, filePath });
}
