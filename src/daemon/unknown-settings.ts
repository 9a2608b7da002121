import type { LoadedConfig } from '../config/load.ts';
import type { Log } from '../core/ports.ts';

/**
 * Keys of the file that this version does not know, each as a sentence with its place: for the log, and for
 * a person who looks although the agent is ready.
 */
export function unknownSettings(
  { log }: { readonly log: Log },
  { warnings }: Pick<LoadedConfig, 'warnings'>,
  configPath: string,
): readonly string[] {
  const told = warnings.map((warning) => `${configPath}, ${warning}`);
  for (const error of told) {
    log.warn('a key of the configuration is not known', { error_code: 'SETTING_UNKNOWN', error });
  }
  return told;
}
