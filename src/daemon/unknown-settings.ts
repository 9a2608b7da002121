import type { LoadedConfig } from '../config/load.ts';
import type { Log } from '../core/ports.ts';
import type { Reason } from '../protocol/local-api.ts';
import { type HealthParts, withWarnings } from './health-parts.ts';

/**
 * Reports keys of the file that this version does not know: in the log, and among the warnings that
 * a person sees although the agent is ready.
 */
export function tellingOfUnknown(
  { log }: { readonly log: Log },
  health: HealthParts,
  { warnings }: Pick<LoadedConfig, 'warnings'>,
  configPath: string,
): HealthParts {
  const reasons = warnings.map(
    (warning): Reason => ({
      code: 'SETTING_UNKNOWN',
      message: `${configPath}, ${warning}`,
      hint: 'Correct the file, then: sudo systemctl restart pipeops-agent. If a newer version wrote it, that one uses it',
    }),
  );
  for (const { code, message } of reasons) {
    log.warn('a key of the configuration is not known', { error_code: code, error: message });
  }
  return withWarnings(health, () => reasons);
}
