/** A k3s that was here before us, as part of an installation: noted, used, and never changed. */
import { K3S_EXECUTABLE, K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { Adoption } from '../../protocol/files/adoption.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { parseJson } from '../engine/parse-json.ts';
import {
  LEAVES_NOTHING,
  LEFT_AS_IT_IS,
  type Making,
  type Removal,
  type Resource,
} from '../engine/resource.ts';
import { kubectlCommand } from '../k3s/kubectl.ts';
import {
  deletingFoundAgent,
  hasFoundAgent,
  putBackObjects,
  removeFoundAgent,
} from './found-agent.ts';

export const ADOPTED = { kind: 'adopted-k3s', name: 'server' } as const;

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** Whether this machine is that of a cluster, by our doing or since we took it over. */
export function hasK3s(inventory: HostInventory, role: K3sRole): boolean {
  return (
    inventory.has('k3s', role) ||
    (role === ADOPTED.name && inventory.has(ADOPTED.kind, ADOPTED.name))
  );
}

/** What an earlier run has found here; undefined where it was none, or it cannot be read. */
export async function readAdoption(
  deps: Pick<Deps, 'files' | 'places'>,
): Promise<Adoption | undefined> {
  const text = await deps.files.readText(deps.places.adoptionFile);
  return text === undefined ? undefined : Adoption.safeParse(parseJson(text)).data;
}

/** @param adoption undefined where nothing is to be made */
export function adoptedK3s(
  deps: Deps,
  inventory: HostInventory,
  adoption: Adoption | undefined,
): Resource {
  return {
    id: 'k3s-adopt',
    title: 'Take over k3s as it is',
    touches: [],
    entries: [ADOPTED],
    ...(adoption === undefined ? LEFT_AS_IT_IS : making(deps, inventory, adoption)),
    undo: async () => (inventory.has(ADOPTED.kind, ADOPTED.name) ? [await givingBack(deps)] : []),
  };
}

function making(deps: Deps, inventory: HostInventory, adoption: Adoption): Making {
  return {
    isWanted: true,
    isDone: async () =>
      inventory.has(ADOPTED.kind, ADOPTED.name) && (await readAdoption(deps)) !== undefined,
    apply: async () => {
      const { files, places } = deps;
      await files.claimDirectory(places.hostStateDirectory, { mode: 0o700 });
      // Before anything in the cluster is changed; the first note counts.
      if ((await readAdoption(deps)) === undefined) {
        const text = `${JSON.stringify(adoption, null, 2)}\n`;
        await files.writeAtomic(places.adoptionFile, text, { mode: 0o600 });
      }
      await inventory.record(ADOPTED);
    },
    changes: async () => [{ action: 'keep', target: K3S_UNITS.server }],
  };
}

/** The last thing that is undone in the cluster: what is ours has gone by then. */
async function givingBack(deps: Deps): Promise<Removal> {
  const adoption = await readAdoption(deps);
  const objects = adoption?.objects ?? [];
  const isThere = (await deps.files.stat(K3S_EXECUTABLE)) !== undefined;
  return {
    title: 'Give k3s back, as it was',
    changes: [
      { action: 'keep', target: K3S_UNITS.server },
      ...objects.map(
        ({ kind, metadata }) =>
          ({ action: 'restore', target: `${kind.toLowerCase()} ${metadata.name}` }) as const,
      ),
    ],
    entries: [ADOPTED],
    run: async () => {
      // Somebody may have removed k3s meanwhile.
      if (isThere) {
        await putBackObjects(deps, objects);
      }
      await deps.files.remove(deps.places.adoptionFile);
    },
  };
}

/** Once ours is registered under its name: the agent that runs in the cluster, as a Deployment. */
export function inClusterAgentGone(deps: Deps, namespace: string): Resource {
  const isDone = async () => !(await hasFoundAgent(deps, namespace));
  return {
    id: 'in-cluster-agent',
    title: 'Remove the agent that ran in the cluster',
    touches: [`deployment pipeops-agent in ${namespace}`],
    ...LEAVES_NOTHING, // It is put back with what was found beside it.
    isWanted: true,
    isDone,
    apply: () => removeFoundAgent(deps, namespace),
    commands: async () => [kubectlCommand(deletingFoundAgent(namespace))],
    changes: async () => [
      { action: (await isDone()) ? 'keep' : 'remove', target: 'deployment pipeops-agent' },
    ],
  };
}
