import type { Fact } from './fact.ts';
import { isProgramThere } from './program-there.ts';

/** Those that know their system best come first: an image has dnf or zypper as well. */
const TOOLS = ['rpm-ostree', 'transactional-update', 'zypper'] as const;

/** What installs packages of RPM here; dnf where nothing else is there. */
export const packageTool: Fact<(typeof TOOLS)[number] | 'dnf'> = {
  id: 'package-tool',
  read: async (deps) => {
    for (const tool of TOOLS) {
      if (await isProgramThere(deps, tool)) {
        return tool;
      }
    }
    return 'dnf';
  },
};
