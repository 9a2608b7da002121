import type { Check } from '../../host/checks/check.ts';
import { diskTrend } from '../../host/checks/disk-trend.ts';
import { recentSnapshot } from '../../host/checks/etcd-snapshots.ts';
import { k3sCertificatesLast } from '../../host/checks/k3s-certificates.ts';
import { addressStillThere } from '../../host/checks/kept-address.ts';
import { ownSnapshots } from '../../host/checks/snapshots.ts';

/**
 * Checks of files that k3s lets only root read: the daemon cannot make them itself. Others would judge the walls of
 * the helper's unit (no network, no kernel's log, `/usr` read-only) and not the machine.
 */
export const ROOTS_CHECKS: readonly Check[] = [
  k3sCertificatesLast,
  recentSnapshot,
  ownSnapshots,
  addressStillThere,
  diskTrend,
];
