import { missingTools } from '../facts/missing-tools.ts';
import { BARE, type Check } from './check.ts';

/** Looks for every program beforehand, so that no step fails half way for want of one. */
export const tools: Check = {
  id: 'tools',
  title: 'Programs that are run',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: 'These programs are run during an installation.',
  remedy: "Install them with the system's package manager.",
  needs: [missingTools],
  run: async (facts) => {
    const missing = await facts(missingTools);
    return missing.length === 0
      ? undefined
      : {
          code: 'TOOL_MISSING',
          message: `These programs are missing: ${missing.join(', ')}`,
          hint: "Install them with this system's package manager, then run the same command again",
          details: { missing },
        };
  },
};
