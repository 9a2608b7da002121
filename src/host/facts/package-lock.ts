import { type PackageHolder, packageHolder } from '../engine/package-lock.ts';
import type { Fact } from './fact.ts';

/** Who holds the packages of the system, where somebody does. */
export const packageLock: Fact<PackageHolder | undefined> = {
  id: 'package-lock',
  read: ({ files }) => packageHolder(files),
};
