/**
 * The one table of what is looked at on a machine, in the order in which it is told. `doctor` runs all
 * that fits the machine, `install` and `join` run those for a bare one, the daemon the cheap ones, and
 * docs/TROUBLESHOOTING.md has a section for each.
 */
import { cgroupControllers, cgroupVersion } from '../host/checks/cgroups.ts';
import type { Check } from '../host/checks/check.ts';
import { diskNotFilling, enoughDiskSpace, enoughInodes } from '../host/checks/disk-space.ts';
import { knownDistribution } from '../host/checks/distribution.ts';
import { ownMachineId, usableHostname } from '../host/checks/identity.ts';
import { noDataOfOthers } from '../host/checks/k3s-data.ts';
import { kernelModules, kernelOptions } from '../host/checks/kernel.ts';
import { forwarding, inotifyLimits } from '../host/checks/kernel-settings.ts';
import { enoughMemory, enoughProcessors } from '../host/checks/memory.ts';
import { noOtherCluster } from '../host/checks/other-cluster.ts';
import { allPortsFree, webPortsFree } from '../host/checks/ports.ts';
import { processorKnown } from '../host/checks/processor.ts';
import { noSwap } from '../host/checks/swap.ts';
import { systemd } from '../host/checks/systemd.ts';
import { tools } from '../host/checks/tools.ts';
import { runnablePlaces, writablePlaces } from '../host/checks/written-places.ts';
import type { MachineRole } from '../host/facts/fact.ts';
import { agentReady } from './agent-ready.ts';

export const CHECKS: readonly Check[] = [
  // The system.
  knownDistribution,
  systemd,
  processorKnown,
  kernelOptions,
  kernelModules,
  cgroupControllers,
  cgroupVersion,
  inotifyLimits,
  forwarding,
  usableHostname,
  ownMachineId,
  // Its size.
  enoughMemory,
  enoughProcessors,
  noSwap,
  enoughDiskSpace,
  diskNotFilling,
  enoughInodes,
  writablePlaces,
  runnablePlaces,
  tools,
  // Others on it.
  noOtherCluster,
  noDataOfOthers,
  allPortsFree,
  webPortsFree,
  // What was installed.
  agentReady,
];

/** Those that have something to say on such a machine. */
export function checksFor(role: MachineRole): readonly Check[] {
  return CHECKS.filter(({ roles }) => roles.includes(role));
}
