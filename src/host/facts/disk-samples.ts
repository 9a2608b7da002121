import { type DiskSample, parseDiskSamples } from '../../protocol/files/disk-samples.ts';
import type { Fact } from './fact.ts';

/** How full the disks were, the oldest first; root's. */
export const diskSamples: Fact<readonly DiskSample[]> = {
  id: 'disk-samples',
  read: async ({ files, places }) => parseDiskSamples(await files.readText(places.diskSamplesFile)),
};
