import { type ConfigInputs, type LoadedConfig, loadConfig } from '../config/load.ts';
import { CONFIG_PATH } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import type { Files } from '../core/ports.ts';

/** The file that `--config` names, or the usual one. */
export function configPathOf(flags: ConfigInputs['flags']): string {
  return typeof flags['config'] === 'string' ? flags['config'] : CONFIG_PATH;
}

/**
 * The effective configuration of a subcommand.
 * @throws AgentError CONFIG_INVALID; FILE_ACCESS or NOT_FOUND for the file
 */
export async function loadEffectiveConfig(
  deps: Pick<ConfigInputs, 'env' | 'hostname'> & { readonly files: Files },
  flags: ConfigInputs['flags'],
): Promise<LoadedConfig> {
  const filePath = configPathOf(flags);
  const fileText = await deps.files.readText(filePath);
  if (fileText === undefined && flags['config'] !== undefined) {
    throw new AgentError('NOT_FOUND', `Cannot find the configuration file ${filePath}`, {
      hint: 'Check the path given with --config',
    });
  }
  return loadConfig({ flags, env: deps.env, hostname: deps.hostname, fileText, filePath });
}
