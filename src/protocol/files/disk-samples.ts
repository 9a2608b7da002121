/** How full the disks were: root's file, kept by its helper at each look of the daemon. */
import * as z from 'zod';

const Sample = z.object({
  at: z.iso.datetime(),
  disks: z.array(z.object({ path: z.string(), used: z.number(), total: z.number() })).max(8),
});
export type DiskSample = z.infer<typeof Sample>;

/** Two weeks, one an hour. */
const DISK_SAMPLES_MAX = 336;

const DiskSamples = z.object({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  samples: z.array(Sample).max(DISK_SAMPLES_MAX),
});

/** @returns none where the file is not there, damaged, or of a version that needs another reader */
export function parseDiskSamples(text: string | undefined): readonly DiskSample[] {
  try {
    return DiskSamples.safeParse(JSON.parse(text ?? 'null')).data?.samples ?? [];
  } catch {
    return []; // They are taken anew.
  }
}

export function diskSamplesText(samples: readonly DiskSample[]): string {
  return `${JSON.stringify({ v: 1, samples: samples.slice(-DISK_SAMPLES_MAX) })}\n`;
}
