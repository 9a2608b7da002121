import { ipVersion } from '../../core/text/ip-version.ts';
import type { Fact, FactDeps } from './fact.ts';
import { outputOf } from './tool-output.ts';
import { usableAddresses } from './usable-addresses.ts';

/** Of nobody (RFC 5737, RFC 3849): packets to them would leave by the default route. */
const ELSEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/** For each version of IP the address with which this machine goes out; absent where it has none. */
export const outgoingAddresses: Fact<{ readonly [Version in 4 | 6]?: string }> = {
  id: 'outgoing-addresses',
  read: async (deps, facts) => {
    const own = await facts(usableAddresses);
    const [v4, v6] = await Promise.all([outgoing(deps, own, 4), outgoing(deps, own, 6)]);
    return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) };
  },
};

/** The kernel's choice where there are several (ip-route(8), `get`); else the first. */
async function outgoing(
  deps: FactDeps,
  own: readonly string[],
  version: 4 | 6,
): Promise<string | undefined> {
  const candidates = own.filter((address) => ipVersion(address) === version);
  if (candidates.length < 2) {
    return candidates[0];
  }
  const argv = ['ip', '-json', `-${version}`, 'route', 'get', ELSEWHERE[version]] as const;
  const text = await outputOf(deps, argv);
  try {
    const [row] = JSON.parse(text ?? '[]') as readonly { readonly prefsrc?: string }[];
    return candidates.find((address) => address === row?.prefsrc) ?? candidates[0];
  } catch {
    return candidates[0];
  }
}
