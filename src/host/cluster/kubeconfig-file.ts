/** Adds a cluster to a person's kubeconfig without losing anything that is in it. */
import { dirname, resolve } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import { refuseForeignPlace } from '../engine/foreign-place.ts';
import { type KubeconfigEntries, mergeKubeconfig } from './kubeconfig-merge.ts';

const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
/** Links that are followed. People keep this file elsewhere, for example in a repository. */
const LINKS_MAX = 8;
const MODE = 0o600;
const DIRECTORY_MODE = 0o700;

interface Deps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files: Files;
  readonly uid: number;
}

export interface MergedKubeconfig {
  readonly path: string;
  readonly currentContext: string | undefined;
  /** A copy of the earlier file, if its comments could not be kept. */
  readonly backup: string | undefined;
}

/** Writes a whole kubeconfig; its directory is made. @throws AgentError FILE_ACCESS, DISK_FULL */
export async function writeKubeconfigFile(deps: Deps, path: string, text: string): Promise<void> {
  const real = await followLinks(deps, path);
  await writeAsOwner(deps, real, text);
}

/**
 * Adds cluster, user and context to a kubeconfig, or replaces those of the same name that lead to the
 * same cluster. Changes all of them or nothing.
 * @throws AgentError FILE_ACCESS where the file is no kubeconfig, or has another of that name
 */
export async function mergeIntoFile(
  deps: Deps,
  path: string,
  entries: KubeconfigEntries,
  makeCurrent: boolean,
): Promise<MergedKubeconfig> {
  const real = await followLinks(deps, path);
  const before = await deps.files.readText(real, FILE_LIMIT_BYTES);
  const merged = mergeKubeconfig(before ?? '', entries, makeCurrent, path);
  const backup = merged.losesComments ? `${real}.before-pipeops-agent` : undefined;
  if (backup !== undefined && before !== undefined) {
    await writeAsOwner(deps, backup, before);
  }
  if (merged.text !== before) {
    await writeAsOwner(deps, real, merged.text);
  }
  return { path, currentContext: merged.currentContext, backup };
}

/** A file keeps its owner and mode. A new file belongs to the owner of its directory, who alone may read it. */
async function writeAsOwner(deps: Deps, path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const missing = (await deps.files.stat(directory)) === undefined;
  const there = await deps.files.stat(path);
  const like = there ?? (await nearest(deps.files, directory));
  // Only root may give a file away.
  const owner = deps.uid === 0 && like !== undefined ? { owner: `${like.uid}:${like.gid}` } : {};
  if (missing) {
    await deps.files.makeDirectory(directory, { mode: DIRECTORY_MODE, ...owner });
  }
  await deps.files.writeAtomic(path, text, { mode: there?.mode ?? MODE, ...owner });
}

async function nearest(files: Files, path: string) {
  for (let at = path; ; at = dirname(at)) {
    const stat = await files.stat(at);
    if (stat?.kind === 'directory' || at === dirname(at)) {
      return stat;
    }
  }
}

async function followLinks(deps: Deps, path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    await refuseForeignPlace(deps, at);
    const target = await deps.files.readLink(at).catch(() => undefined);
    if (target === undefined) {
      return at;
    }
    at = resolve(dirname(at), target);
  }
  throw new AgentError('FILE_ACCESS', `${path} leads through too many links`, {
    hint: 'Name the file itself with --output',
  });
}
