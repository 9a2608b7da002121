/**
 * A unit whose file a package has brought, and takes away. In the inventory it says that this installation runs
 * it, and so stops it.
 */
import { basename } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import type { Removal, Resource } from '../engine/resource.ts';
import { forgetFailure } from '../engine/systemctl.ts';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

interface Parts {
  readonly unitFile: string;
  /** Disables and stops it, also where it is so already. */
  readonly stop: () => Promise<void>;
}

export function packagedUnit(
  deps: Deps,
  inventory: HostInventory,
  about: Pick<Resource, 'id' | 'title' | 'touches'>,
  { unitFile, stop }: Parts,
): Resource {
  const unit = basename(unitFile);
  const entry = { kind: 'unit', name: unitFile } as const;
  const removal: Removal = {
    title: `Stop ${unit}`,
    changes: [{ action: 'stop', target: unit }],
    entries: [entry],
    run: async () => {
      await stop();
      await forgetFailure(deps, unit);
    },
  };
  return {
    ...about,
    entries: [entry],
    isWanted: true,
    isDone: async () => inventory.has(entry.kind, entry.name),
    apply: async () => {
      if ((await deps.files.stat(unitFile)) === undefined) {
        throw new AgentError('FILE_ACCESS', `${unitFile} of the package is missing`, {
          hint: 'Install the package pipeops-agent again, then run the same command again',
        });
      }
      await inventory.record(entry);
    },
    changes: async () => [{ action: 'keep', target: unitFile }],
    undo: async () => (inventory.has(entry.kind, entry.name) ? [removal] : []),
  };
}
