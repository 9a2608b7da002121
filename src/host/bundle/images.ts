/** The images of a bundle: in their place before k3s starts, and imported when the node is ready. */
import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import {
  K3S_AGENT_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_IMAGES_DIRECTORY,
  K3S_UNITS,
  type K3sRole,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../engine/interrupted.ts';
import { placeFile } from '../engine/place-file.ts';
import { changeOf } from '../engine/removals.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { installedK3sVersion } from '../k3s/program.ts';
import { askK3sRestart } from '../k3s/restart.ts';
import type { Bundle } from './verify.ts';

/** k3s imports before it starts the kubelet; slow disks take minutes. */
const IMPORT_LIMIT_MS = 5 * 60_000;
const POLL_INTERVAL_MS = 1_000;
const LIST_TIMEOUT_MS = 30_000;
/** Names in a message. */
const NAMED_MAX = 3;
const IMAGES_MODE = 0o644;

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** k3s' own uninstaller takes them away with its directory. */
export function placedImages(
  deps: Deps,
  role: K3sRole,
  bundle: Bundle,
  signal: AbortSignal,
): Resource {
  const images = bundle.file('k3s-images');
  const path = `${K3S_IMAGES_DIRECTORY}/${images.name}`;
  const isDone = async () =>
    (await isOfOtherK3s(deps, bundle)) || (await deps.files.stat(path))?.size === images.sizeBytes;
  return {
    id: 'bundle-images',
    title: 'Place the images of the bundle',
    touches: [path],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone,
    changes: async () => [await changeOf(deps, path, await isDone())],
    apply: async () => {
      // As k3s makes them.
      await deps.files.makeDirectory(K3S_AGENT_DIRECTORY, { mode: 0o700 });
      await deps.files.makeDirectory(dirname(path), { mode: 0o755 });
      await askK3sRestart(deps, role);
      await placeFile(deps.files, images, { path, mode: IMAGES_MODE }, signal);
    },
  };
}

/** Without them pods would wait for a registry that is not there. */
export function importedImages(
  deps: Deps,
  role: K3sRole,
  bundle: Bundle,
  signal: AbortSignal,
): Resource {
  const missing = () => missingImages(deps, bundle.manifest.images);
  const isDone = async () => (await isOfOtherK3s(deps, bundle)) || (await missing())?.length === 0;
  return {
    id: 'bundle-images-imported',
    title: 'Check the images of the bundle',
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone,
    changes: async () => [],
    apply: async (update) => {
      const pace = { everyMs: POLL_INTERVAL_MS, limitMs: IMPORT_LIMIT_MS };
      const end = await pollUntil(deps.clock, pace, signal, async () => {
        const left = await missing();
        update(`${left?.length ?? 'all'} to import`);
        return left?.length === 0 ? { found: true } : { soFar: left };
      });
      if (end.kind === 'aborted') {
        throw interrupted('while k3s imports images');
      }
      if (end.kind === 'late') {
        throw notImported(end.soFar, role);
      }
    },
  };
}

/** k3s stays what it is when it is there already; images of another version are of no use to it. */
async function isOfOtherK3s(deps: Deps, { manifest }: Bundle): Promise<boolean> {
  const installed = await installedK3sVersion(deps);
  return installed !== undefined && installed !== manifest.k3s.version;
}

/** @returns undefined where containerd does not answer */
async function missingImages(
  { exec }: Pick<Deps, 'exec'>,
  wanted: readonly string[],
): Promise<readonly string[] | undefined> {
  const argv = [K3S_EXECUTABLE, 'ctr', 'images', 'ls', '-q'] as const;
  const { exitCode, stdout } = await exec.run(argv, { timeoutMs: LIST_TIMEOUT_MS });
  const found = new Set(stdout.split('\n'));
  return exitCode === 0 ? wanted.filter((name) => !found.has(name)) : undefined;
}

function notImported(missing: readonly string[] | undefined, role: K3sRole): AgentError {
  const named = missing?.slice(0, NAMED_MAX).join(', ') ?? 'its containerd does not answer';
  return new AgentError('K3S_NOT_READY', `k3s has not imported the images: ${named}`, {
    hint: `Look at: journalctl -u ${K3S_UNITS[role]} | grep -i import`,
    details: { missing: missing ?? null },
  });
}
