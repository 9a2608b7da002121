import { ipVersion } from '../../core/text/ip-version.ts';
import { addresses } from '../facts/addresses.ts';
import { controlPlaneReached } from '../facts/control-plane-reached.ts';
import type { ReachedWay } from '../facts/reached.ts';
import type { Check } from './check.ts';
import { detailsOf, ENDPOINT_STEPS, leadsThere, whatFails } from './endpoint-finding.ts';
import { isRestAnswer } from './right-answers.ts';

export const ipFamiliesWork: Check = {
  id: 'ip-families',
  title: 'IPv4 and IPv6',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['bare', 'server'],
  why: 'Addresses are tried in turn: where one version of IP leads nowhere, each new connection waits for it first.',
  remedy:
    'Mend the version of IP that fails, or take its addresses off this machine. Where only IPv6 fails: ' +
    '`sudo sysctl net.ipv6.conf.all.disable_ipv6=1`, and for good in `/etc/sysctl.d`.',
  needs: [controlPlaneReached, addresses],
  run: async (facts) => {
    const reached = await facts(controlPlaneReached);
    const own = await facts(addresses);
    const ways = (reached?.usual ?? []).filter(
      ({ way, address }) => way === 'direct' && hasFamily(own, address),
    );
    const failing = ways.filter((way) => !leadsThere(way, isRestAnswer));
    // Where nothing works the check of the control plane tells it.
    if (reached === undefined || failing.length === 0 || failing.length === ways.length) {
      return undefined;
    }
    return {
      code: 'CHECK_FAILED',
      message: `${failing.map(words).join(', ')}; the other version of IP works`,
      hint: 'Mend that version of IP, or take its addresses off this machine',
      details: detailsOf(reached),
    };
  },
};

/** A machine without a global address of a version does not use it. */
function hasFamily(own: readonly string[], address: string): boolean {
  const version = ipVersion(address);
  return own.some((each) => ipVersion(each) === version && (version === 4 || isGlobal6(each)));
}

/** RFC 4291 section 2.5.4; unique local ones lead nowhere outside. */
function isGlobal6(address: string): boolean {
  return /^[23]/.test(address);
}

function words(way: ReachedWay): string {
  return `The control plane is not reached at ${way.address}: ${whatFails(way)}`;
}
