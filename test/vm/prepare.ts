/** Does everything slow up front, so that tests start warm: `bun test/vm/prepare.ts`. */

import { baseSystem } from './base-system.ts';
import { testImages } from './images.ts';
import { prepareK3sRelease } from './k3s-release.ts';
import { installHostPackages } from './packages.ts';
import { reasonMachinesCannotRun } from './prerequisites.ts';
import { type Progress, reportProgress } from './progress.ts';

/** Packages, base systems, k3s and images; instant when all are there. */
export async function prepareTestMachines(progress: Progress): Promise<void> {
  await progress.phase('Debian packages on this host', installHostPackages);
  // The build is bound by the CPU and the base systems mostly by the network.
  await Promise.all([
    progress.phase('k3s (cold: 5 to 8 minutes)', async () => await prepareK3sRelease()),
    progress.phase('base systems', async () => await baseSystem('kubernetes')),
  ]);
  await progress.phase('container images', testImages);
}

if (import.meta.main) {
  const reason = await reasonMachinesCannotRun();
  if (reason === undefined) {
    await prepareTestMachines(reportProgress('prepare'));
  } else {
    process.stderr.write(`Cannot prepare test machines: ${reason}\n`);
    process.exitCode = 1;
  }
}
