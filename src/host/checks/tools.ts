import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { toolPath } from '../../core/tool-path.ts';

/** Programs that the steps and the installer of k3s run, each with one that may stand in for it. */
const TOOLS: readonly (readonly string[])[] = [
  ['systemctl'],
  ['journalctl'],
  ['sh'],
  ['install'],
  ['mv'],
  ['cmp'],
  ['useradd'],
  ['userdel'],
  ['groupadd'],
  ['groupdel'],
  ['runuser'],
  ['sha256sum'],
  ['curl', 'wget'],
];

interface Deps {
  readonly files: Files;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Looks for all that will be run, so that no step finds half way that it cannot. @throws AgentError TOOL_MISSING */
export async function checkTools(deps: Deps): Promise<void> {
  const missing: string[] = [];
  for (const names of TOOLS) {
    if (!(await isThere(deps, names))) {
      missing.push(names.join(' or '));
    }
  }
  if (missing.length > 0) {
    throw new AgentError('TOOL_MISSING', `These programs are missing: ${missing.join(', ')}`, {
      hint: "Install them with this system's package manager, then run the same command again",
      details: { missing },
    });
  }
}

async function isThere({ files, env }: Deps, names: readonly string[]): Promise<boolean> {
  for (const directory of toolPath(env['PATH'])) {
    for (const name of names) {
      if ((await files.stat(`${directory}/${name}`)) !== undefined) {
        return true;
      }
    }
  }
  return false;
}
