import type { Fact, FactDeps } from './fact.ts';
import { outputOf } from './tool-output.ts';

/** Addresses that no local route leads to; nothing is sent to them. */
const OUTSIDE = { '-4': '192.0.2.1', '-6': '2001:db8::1' } as const;

/**
 * By which this machine goes out, IPv4 before IPv6: those that k3s takes for its node when it is told none. Empty
 * without a default route, and without ip(8).
 */
export const outwardAddresses: Fact<readonly string[]> = {
  id: 'outward-addresses',
  read: async (deps) => (await Promise.all([sourceOf(deps, '-4'), sourceOf(deps, '-6')])).flat(),
};

/** ip-route(8): `route get` asks the kernel which way a packet would go, and from which address. */
async function sourceOf(deps: FactDeps, family: '-4' | '-6'): Promise<readonly string[]> {
  const text = await outputOf(deps, ['ip', '-json', family, 'route', 'get', OUTSIDE[family]]);
  try {
    const [way] = JSON.parse(text ?? '[]') as readonly { readonly prefsrc?: string }[];
    return way?.prefsrc === undefined ? [] : [way.prefsrc];
  } catch {
    return [];
  }
}
