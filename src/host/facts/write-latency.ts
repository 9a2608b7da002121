import { dirname } from 'node:path';
import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** Written and removed beside k3s' data. */
export const WRITE_PROBE_FILE = '.pipeops-agent-probe';
/** As much as etcd writes at once. */
const WRITE_BYTES = 2 * 1024;
const WRITES_MAX = 30;
const PROBE_LIMIT_MS = 700;

export interface WriteLatency {
  readonly path: string;
  /** Nine of ten writes that survive a power failure were done within this. */
  readonly ms: number;
}

/** Measured on the disk of k3s' data, with some small files that are removed again. Root's. */
export const writeLatency: Fact<WriteLatency> = {
  id: 'write-latency',
  read: async ({ files, clock, signal }) => {
    const directory = await existing(files, K3S_DATA_DIRECTORY);
    const path = `${directory}/${WRITE_PROBE_FILE}`;
    const data = new Uint8Array(WRITE_BYTES);
    const taken: number[] = [];
    const endsAt = clock.monotonic() + PROBE_LIMIT_MS;
    try {
      while (taken.length < WRITES_MAX && clock.monotonic() < endsAt && !signal.aborted) {
        const beganAt = clock.monotonic();
        await files.writeAtomic(path, data, { mode: 0o600 });
        taken.push(clock.monotonic() - beganAt);
      }
    } finally {
      await files.remove(path);
    }
    taken.sort((a, b) => a - b);
    return { path: directory, ms: taken[Math.floor(taken.length * 0.9)] ?? 0 };
  },
};

async function existing(files: Files, path: string): Promise<string> {
  let found = path;
  while ((await files.stat(found))?.kind !== 'directory' && found !== '/') {
    found = dirname(found);
  }
  return found;
}
