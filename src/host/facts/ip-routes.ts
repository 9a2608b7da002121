import type { Fact, FactDeps } from './fact.ts';
import type { IpRoute } from './ip-route.ts';
import { kernelRoutes4, kernelRoutes6 } from './kernel-routes.ts';
import { outputOf } from './tool-output.ts';

/** Routes that are looked at; a router on the internet has a million. */
const ROUTES_MAX = 10_000;

/**
 * Where this machine sends packets to, from all tables (ip-route(8)): VPNs have theirs beside the main
 * one. Without ip(8) those of the main table.
 */
export const ipRoutes: Fact<readonly IpRoute[]> = {
  id: 'ip-routes',
  read: async (deps) => {
    const found = await Promise.all([listed(deps, '-4'), listed(deps, '-6')]);
    const [v4 = await kernelRoutes4(deps.files), v6 = await kernelRoutes6(deps.files)] = found;
    return [...v4, ...v6].slice(0, ROUTES_MAX);
  },
};

/** @returns undefined where ip(8) is not there, or too old for JSON */
async function listed(
  deps: Pick<FactDeps, 'exec' | 'signal'>,
  family: '-4' | '-6',
): Promise<readonly IpRoute[] | undefined> {
  const argv = ['ip', '-json', family, 'route', 'show', 'table', 'all'] as const;
  const text = await outputOf(deps, argv);
  try {
    const rows: unknown = JSON.parse(text ?? '');
    return Array.isArray(rows)
      ? rows.slice(0, ROUTES_MAX).flatMap((row: unknown) => routeOf(row, family) ?? [])
      : undefined;
  } catch {
    return undefined;
  }
}

/** `local`, `broadcast` and such are the kernel's own notes of this machine's addresses. */
function routeOf(row: unknown, family: '-4' | '-6'): IpRoute | undefined {
  const { dst, dev, gateway, via, type, nexthops } = row as Readonly<Record<string, unknown>>;
  if (typeof dst !== 'string' || (type !== undefined && type !== 'unicast')) {
    return undefined;
  }
  const [hop] = Array.isArray(nexthops) ? (nexthops as { readonly dev?: unknown }[]) : [];
  const whole = family === '-4' ? '0.0.0.0/0' : '::/0';
  return {
    destination: dst === 'default' ? whole : dst,
    device: String(dev ?? hop?.dev ?? ''),
    hasGateway: gateway !== undefined || via !== undefined || hop !== undefined,
  };
}
