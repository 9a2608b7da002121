/**
 * The one table of what is looked at on a machine, in the order in which it is told. `doctor` runs all
 * that fits the machine, `install` and `join` run those for a bare one, the daemon the cheap ones, and
 * docs/TROUBLESHOOTING.md has a section for each.
 */
import { cgroupControllers, cgroupVersion } from '../host/checks/cgroups.ts';
import type { Check } from '../host/checks/check.ts';
import { clockExact, clockRight } from '../host/checks/clock.ts';
import { clockNotPast } from '../host/checks/clock-past.ts';
import { noCloudNetworkSetup } from '../host/checks/cloud-network-setup.ts';
import { noClusterAgent } from '../host/checks/cluster-agent.ts';
import { controlPlaneAnswers } from '../host/checks/control-plane.ts';
import { defaultRouteThere } from '../host/checks/default-route.ts';
import { diskNotFilling, enoughDiskSpace, enoughInodes } from '../host/checks/disk-space.ts';
import { diskTrend } from '../host/checks/disk-trend.ts';
import { knownDistribution } from '../host/checks/distribution.ts';
import { dnsReachesPods } from '../host/checks/dns-for-pods.ts';
import { resolversAnswer } from '../host/checks/dns-resolvers.ts';
import { downloadsAnswer } from '../host/checks/downloads.ts';
import { recentSnapshot } from '../host/checks/etcd-snapshots.ts';
import { firewallOpen } from '../host/checks/firewall.ts';
import { gatewaysAnswer } from '../host/checks/gateways.ts';
import { ownMachineId, usableHostname } from '../host/checks/identity.ts';
import { ipFamiliesWork } from '../host/checks/ip-families.ts';
import { networksOfOwnVersion } from '../host/checks/ipv6-only.ts';
import { serverAnswers } from '../host/checks/joined-server.ts';
import { k3sCertificatesLast } from '../host/checks/k3s-certificates.ts';
import { noDataOfOthers } from '../host/checks/k3s-data.ts';
import { k3sRuns } from '../host/checks/k3s-unit.ts';
import { addressReserved, addressStillThere } from '../host/checks/kept-address.ts';
import { kernelModules, kernelOptions } from '../host/checks/kernel.ts';
import { kernelLogThere } from '../host/checks/kernel-log.ts';
import {
  bridgeNetfilter,
  forwarding,
  forwardingIpv6,
  inotifyLimits,
} from '../host/checks/kernel-settings.ts';
import { enoughMemory, enoughProcessors } from '../host/checks/memory.ts';
import { noOtherCluster } from '../host/checks/other-cluster.ts';
import { hostnameResolves } from '../host/checks/own-name.ts';
import { packagesFree } from '../host/checks/package-lock.ts';
import { largePacketsPass } from '../host/checks/path-mtu.ts';
import { podChecksums } from '../host/checks/pod-checksums.ts';
import { podNetworksFree, podRoutesFree } from '../host/checks/pod-networks.ts';
import { allPortsFree, webPortsFree } from '../host/checks/ports.ts';
import { processorKnown } from '../host/checks/processor.ts';
import { registriesAnswer } from '../host/checks/registries.ts';
import { advertisedRouteStays } from '../host/checks/router-advertisements.ts';
import { appArmorParser, selinuxLabelled, selinuxPolicy } from '../host/checks/security-modules.ts';
import { ownSnapshots } from '../host/checks/snapshots.ts';
import { noSwap } from '../host/checks/swap.ts';
import { systemd } from '../host/checks/systemd.ts';
import { clockKept } from '../host/checks/time-sync.ts';
import { tlsUnopened } from '../host/checks/tls-interception.ts';
import { tools } from '../host/checks/tools.ts';
import { webSocketPasses } from '../host/checks/websocket.ts';
import { fastWrites } from '../host/checks/write-latency.ts';
import { runnablePlaces, writablePlaces } from '../host/checks/written-places.ts';
import type { MachineRole } from '../host/facts/fact.ts';
import { agentReady } from './agent-ready.ts';
import { settingsValid } from './settings-valid.ts';

/** Beside the clock of the control plane, or of the server that is joined. */
export const CLOCKS: readonly Check[] = [clockRight, clockExact];

/** What lies between this machine and the control plane, where there is one. */
export const ON_THE_WAY: readonly Check[] = [
  webSocketPasses,
  gatewaysAnswer,
  tlsUnopened,
  ipFamiliesWork,
  largePacketsPass,
  ...CLOCKS,
];

/** Where things are fetched from. What comes with a bundle is fetched from nowhere. */
export const FETCHING: readonly Check[] = [downloadsAnswer, registriesAnswer];

export const CHECKS: readonly Check[] = [
  // The system.
  knownDistribution,
  systemd,
  processorKnown,
  kernelOptions,
  kernelModules,
  cgroupControllers,
  cgroupVersion,
  kernelLogThere,
  inotifyLimits,
  forwarding,
  forwardingIpv6,
  bridgeNetfilter,
  selinuxPolicy,
  selinuxLabelled,
  appArmorParser,
  usableHostname,
  ownMachineId,
  // Its size.
  enoughMemory,
  enoughProcessors,
  noSwap,
  enoughDiskSpace,
  diskNotFilling,
  diskTrend,
  enoughInodes,
  fastWrites,
  writablePlaces,
  runnablePlaces,
  tools,
  // Others on it.
  noOtherCluster,
  noDataOfOthers,
  allPortsFree,
  webPortsFree,
  packagesFree,
  // The network.
  noCloudNetworkSetup,
  hostnameResolves,
  resolversAnswer,
  dnsReachesPods,
  addressStillThere,
  addressReserved,
  defaultRouteThere,
  networksOfOwnVersion,
  advertisedRouteStays,
  podNetworksFree,
  podRoutesFree,
  podChecksums,
  firewallOpen,
  controlPlaneAnswers,
  ...ON_THE_WAY,
  clockNotPast,
  clockKept,
  serverAnswers,
  downloadsAnswer,
  registriesAnswer,
  // What was installed.
  settingsValid,
  k3sRuns,
  k3sCertificatesLast,
  recentSnapshot,
  ownSnapshots,
  noClusterAgent,
  agentReady,
];

/**
 * Before an installation, which may get by without a control plane, and asks it by itself where it has one.
 * What comes with a bundle is fetched from nowhere.
 */
export function checksBeforehand({ isOffline }: { readonly isOffline: boolean }): readonly Check[] {
  const notAsked = [
    settingsValid, // It is told by whoever has loaded them.
    controlPlaneAnswers,
    ...ON_THE_WAY,
    ...(isOffline ? FETCHING : []),
  ];
  const checks = checksFor('bare').filter(
    (check) => check.cost !== 'probe' && !notAsked.includes(check),
  );
  // k3s' installer fetches its policy, where it can.
  return isOffline ? [...checks, selinuxPolicy] : checks;
}

/** What etcd needs beside them: it writes each change to the disks of most servers before it answers. */
export const BEFORE_ETCD: readonly Check[] = [fastWrites, addressReserved];

/** Those that have something to say on such a machine. */
export function checksFor(role: MachineRole): readonly Check[] {
  return CHECKS.filter(({ roles }) => roles.includes(role));
}

/** What a k3s that runs already has proven, or owns. */
const PROVEN_BY_K3S: readonly Check[] = [
  kernelOptions,
  kernelModules,
  cgroupControllers,
  cgroupVersion,
  noDataOfOthers,
  webPortsFree,
  podNetworksFree,
  podRoutesFree,
];

/** Those for a machine whose k3s is taken over. */
export function checksBesideK3s(): readonly Check[] {
  // Nothing of k3s is fetched.
  return checksBeforehand({ isOffline: true }).filter((check) => !PROVEN_BY_K3S.includes(check));
}
