import type { Fact, FactDeps } from './fact.ts';
import { isProgramThere } from './program-there.ts';

/** Those that know their system best come first: an image has dnf or zypper as well. */
const TOOLS = ['rpm-ostree', 'transactional-update', 'zypper'] as const;

export type RpmTool = (typeof TOOLS)[number] | 'dnf';

/** What installs packages of RPM here; dnf where nothing else is there. */
export const packageTool: Fact<RpmTool> = { id: 'package-tool', read: readPackageTool };

export async function readPackageTool(deps: Pick<FactDeps, 'env' | 'files'>): Promise<RpmTool> {
  for (const tool of TOOLS) {
    if (await isProgramThere(deps, tool)) {
      return tool;
    }
  }
  return 'dnf';
}
