import { type Mount, readMounts } from '../engine/mount-table.ts';
import type { Fact } from './fact.ts';

/** In the order in which they were mounted. */
export const mounts: Fact<readonly Mount[]> = {
  id: 'mounts',
  read: ({ files }) => readMounts(files),
};
