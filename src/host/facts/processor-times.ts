import type { Files } from '../../core/ports.ts';

/** Ticks since the machine started, of all processors together. */
export interface ProcessorTimes {
  readonly count: number;
  readonly total: number;
  readonly idle: number;
  /** For a disk. */
  readonly waiting: number;
}

/**
 * How the processors of this machine have spent their time, as of now. Undefined where the kernel does not tell.
 * /proc/stat has in `cpu`: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user and nice as well
 * (proc_stat(5)).
 */
export async function readProcessorTimes({
  files,
}: {
  readonly files: Pick<Files, 'readText'>;
}): Promise<ProcessorTimes | undefined> {
  const stat = (await files.readText('/proc/stat')) ?? '';
  const lines = stat.split('\n').filter((line) => line.startsWith('cpu'));
  const [all, ...each] = lines.map((line) => line.split(/ +/).slice(1, 9).map(Number));
  const [, , , idle = 0, waiting = 0] = all ?? [];
  const total = (all ?? []).reduce((sum, ticks) => sum + ticks, 0);
  return total > 0 ? { count: Math.max(1, each.length), total, idle, waiting } : undefined;
}
