/**
 * The one table of what is looked at on a machine, in the order in which it is told. `doctor` runs all
 * that fits the machine, `install` and `join` run those for a bare one, the daemon the cheap ones, and
 * docs/TROUBLESHOOTING.md has a section for each.
 */
import { cgroupControllers, cgroupVersion } from '../host/checks/cgroups.ts';
import type { Check } from '../host/checks/check.ts';
import { enoughDiskSpace } from '../host/checks/disk-space.ts';
import { knownDistribution } from '../host/checks/distribution.ts';
import { noDataOfOthers } from '../host/checks/k3s-data.ts';
import { kernelModules, kernelOptions } from '../host/checks/kernel.ts';
import { enoughMemory } from '../host/checks/memory.ts';
import { noOtherCluster } from '../host/checks/other-cluster.ts';
import { allPortsFree } from '../host/checks/ports.ts';
import { processorKnown } from '../host/checks/processor.ts';
import { systemd } from '../host/checks/systemd.ts';
import { tools } from '../host/checks/tools.ts';
import { runnablePlaces, writablePlaces } from '../host/checks/written-places.ts';
import type { MachineRole } from '../host/facts/fact.ts';
import { agentReady } from './agent-ready.ts';

export const CHECKS: readonly Check[] = [
  knownDistribution,
  systemd,
  processorKnown,
  kernelOptions,
  kernelModules,
  cgroupControllers,
  cgroupVersion,
  enoughMemory,
  enoughDiskSpace,
  writablePlaces,
  runnablePlaces,
  tools,
  noOtherCluster,
  noDataOfOthers,
  allPortsFree,
  agentReady,
];

/** Those that have something to say on such a machine. */
export function checksFor(role: MachineRole): readonly Check[] {
  return CHECKS.filter(({ roles }) => roles.includes(role));
}
