import type { RestartReason } from '../../protocol/host-facts.ts';
import { isNodeAddressGone } from './address-gone.ts';
import type { Fact } from './fact.ts';
import { k3sCertificates } from './k3s-certificates.ts';
import { now } from './now.ts';
import { outwardAddresses } from './outward-addresses.ts';
import { usesEtcd } from './uses-etcd.ts';
import { whoTellsAddress } from './who-tells-address.ts';

const DAY_MS = 24 * 3_600_000;
/**
 * k3s makes certificates anew at a start that comes less than 120 days before their end, releases before May 2025
 * less than 90 (docs.k3s.io, "certificate"). A month later `doctor` begins to warn.
 */
const RESTART_DAYS_LEFT = 60;

/**
 * Why k3s is to be restarted now; undefined where nothing is mended by that. The members of etcd know each other by
 * their addresses: one that has another address is not restarted, because that would not bring it back.
 */
export const restartReason: Fact<RestartReason | undefined> = {
  id: 'restart-reason',
  read: async (_, facts) => {
    const isAway = await facts(isNodeAddressGone);
    const hasOther = (await facts(outwardAddresses)).length > 0;
    if (
      isAway &&
      hasOther &&
      !(await facts(usesEtcd)) &&
      (await facts(whoTellsAddress)) !== 'other'
    ) {
      return 'address';
    }
    const limit = (await facts(now)).getTime() + RESTART_DAYS_LEFT * DAY_MS;
    const certificates = await facts(k3sCertificates);
    const isEnding = certificates.some(
      ({ isAuthority, endsAt }) => !isAuthority && endsAt.getTime() < limit,
    );
    return isEnding ? 'certificates' : undefined;
  },
};
