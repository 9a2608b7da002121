/** Does everything slow up front, so that tests start warm: `bun test/vm/prepare.ts`. */

import { baseSystem } from './base-system.ts';
import { raiseHostLimits } from './host-limits.ts';
import { testImages } from './images.ts';
import { prepareK3sRelease } from './k3s-release.ts';
import { installHostPackages } from './packages.ts';
import { reasonMachinesCannotRun } from './prerequisites.ts';
import { type Progress, showProgress, type Tell } from './progress.ts';

/**
 * Packages, base systems, k3s and images; instant when all are there.
 * @param prepareK3s what machines are to install, where it is not the k3s to test
 */
export async function prepareTestMachines(
  progress: Progress,
  prepareK3s: (tell: Tell) => Promise<unknown> = (tell) => prepareK3sRelease(undefined, tell),
): Promise<void> {
  await progress.phase('Debian packages on this host', installHostPackages);
  await raiseHostLimits();
  // The build is bound by the CPU and the base systems mostly by the network.
  await Promise.all([
    progress.phase('Kubernetes for the machines', prepareK3s),
    progress.phase('base systems of the machines', async (tell) => {
      await baseSystem('kubernetes', tell);
      await baseSystem('debian-13', tell);
    }),
  ]);
  await progress.phase('container images', testImages);
}

if (import.meta.main) {
  const reason = await reasonMachinesCannotRun();
  if (reason === undefined) {
    await prepareTestMachines(showProgress('prepare'));
  } else {
    process.stderr.write(`Cannot prepare test machines: ${reason}\n`);
    process.exitCode = 1;
  }
}
