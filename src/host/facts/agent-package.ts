import { PACKAGED_PLACES } from '../../core/places.ts';
import type { FactDeps } from './fact.ts';
import { type RpmTool, readPackageTool } from './package-tool.ts';
import { outputOf } from './tool-output.ts';

/** What changes the package of the agent here. */
export type AgentPackageTool = 'apt-get' | RpmTool;

/**
 * By what the package of the agent came to this machine: the databases of dpkg and rpm are asked, 2 s each at most,
 * whose the program is, whichever program runs now.
 * @returns undefined where there is no such package
 */
export async function readAgentPackage(
  deps: Pick<FactDeps, 'env' | 'exec' | 'files' | 'signal'>,
): Promise<AgentPackageTool | undefined> {
  const program = PACKAGED_PLACES.executableLink;
  if ((await deps.files.stat(program)) === undefined) {
    return undefined;
  }
  // `pipeops-agent: /usr/bin/pipeops-agent` (dpkg-query(1)); it fails where the file is nobody's.
  if ((await outputOf(deps, ['dpkg-query', '--search', program])) !== undefined) {
    return 'apt-get';
  }
  return (await outputOf(deps, ['rpm', '--query', '--file', program])) === undefined
    ? undefined
    : await readPackageTool(deps);
}
