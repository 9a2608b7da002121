/** The data of volumes that k3s keeps on this machine (its storage class local-path). */
import type { Exec, Files } from '../../core/ports.ts';

/** Counting a volume of a million files takes a while. */
const COUNT_TIMEOUT_MS = 60_000;
/** `pvc-<uid>_<namespace>_<claim>` (local-path-provisioner, "provisioner.go"). */
const VOLUME_NAME = /^pvc-[0-9a-f-]{36}_([^_]+)_(.+)$/;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

export interface Volume {
  readonly path: string;
  /** `namespace/name` of the claim; null where the directory was made by somebody else. */
  readonly claim: string | null;
}

/** Those with something in them. @param directory where the storage class has them */
export async function volumesWithData(
  { files }: Pick<Deps, 'files'>,
  directory: string,
): Promise<readonly Volume[]> {
  const volumes: Volume[] = [];
  for (const name of await files.list(directory)) {
    const path = `${directory}/${name}`;
    const stat = await files.stat(path);
    const isFilled = stat?.kind !== 'directory' || (await files.list(path)).length > 0;
    if (stat !== undefined && isFilled) {
      const [, namespace, claim] = VOLUME_NAME.exec(name) ?? [];
      const isClaimed = namespace !== undefined && claim !== undefined;
      volumes.push({ path, claim: isClaimed ? `${namespace}/${claim}` : null });
    }
  }
  return volumes;
}

/** What it takes on the disk, bytes; null where nobody can count it within a minute. */
export async function bytesOnDisk(
  { exec }: Pick<Deps, 'exec'>,
  path: string,
): Promise<number | null> {
  try {
    const { stdout } = await exec.run(['du', '-skx', path], { timeoutMs: COUNT_TIMEOUT_MS });
    const kib = /^\d+/.exec(stdout)?.[0];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null; // It is told without.
  }
}
