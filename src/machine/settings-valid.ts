import type { LoadedConfig } from '../config/load.ts';
import { DEFAULT_PLACES } from '../core/places.ts';
import { type Check, EVERYWHERE } from '../host/checks/check.ts';
import type { Fact } from '../host/facts/fact.ts';
import { loadEffectiveConfig } from './effective-config.ts';

const settings: Fact<LoadedConfig> = {
  id: 'settings',
  read: (deps) => loadEffectiveConfig(deps, {}),
};

export const settingsValid: Check = {
  id: 'settings',
  title: 'Settings',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'The agent does not start with a setting that cannot be, and ignores a key that it does not know.',
  remedy:
    `Correct \`${DEFAULT_PLACES.configFile}\`, or the variable that is named. ` +
    '`sudo pipeops-agent config validate` also checks the files beside it.',
  needs: [],
  run: async (facts) => {
    const { warnings } = await facts(settings);
    return warnings.length === 0
      ? undefined
      : {
          code: 'CONFIG_INVALID',
          message: warnings.join('; '),
          hint: 'Correct the file',
          onlyWarns: true,
        };
  },
};
