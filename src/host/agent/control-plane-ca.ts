import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';

/** A certificate does not tell who has put it there. As it is no secret, it may stay. */
const looksOurs = () => false;

/** A copy that the daemon can read: the given file may be in somebody's home. */
export function controlPlaneCa(
  deps: { readonly files: Files; readonly places: Places },
  inventory: HostInventory,
  pem: string | undefined,
): Resource {
  const title = "Keep the control plane's CA certificate";
  const file = { id: 'control-plane-ca', title, path: deps.places.controlPlaneCaFile, looksOurs };
  if (pem === undefined) {
    return ownFile(deps, inventory, file, undefined);
  }
  return ownFile(deps, inventory, file, {
    isDone: async () => (await deps.files.readText(deps.places.controlPlaneCaFile)) === pem,
    text: async () => pem,
    apply: () =>
      writeOwn(deps, deps.places.controlPlaneCaFile, pem, {
        mode: 0o640,
        owner: `root:${AGENT_USER}`,
      }),
  });
}
