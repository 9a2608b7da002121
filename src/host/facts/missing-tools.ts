import type { Fact, FactDeps } from './fact.ts';
import { isProgramThere } from './program-there.ts';

/** Programs that the installation and k3s' installer run. One of each line is enough. */
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

/** The programs that are missing: `curl or wget`. */
export const missingTools: Fact<readonly string[]> = {
  id: 'missing-tools',
  read: async (deps) => {
    const found = await Promise.all(TOOLS.map((names) => isThere(deps, names)));
    return TOOLS.filter((_, index) => !found[index]).map((names) => names.join(' or '));
  },
};

async function isThere(deps: FactDeps, names: readonly string[]): Promise<boolean> {
  const found = await Promise.all(names.map((name) => isProgramThere(deps, name)));
  return found.includes(true);
}
