import type { Exec, Files } from '../../core/ports.ts';
import type { Fact, FactDeps } from './fact.ts';

const TOOL_TIMEOUT_MS = 2_000;
/** Routes that are looked at; a router on the internet has a million. */
const ROUTES_MAX = 10_000;
/** /proc/net/route has 128 bytes a line. */
const PROC_LIMIT_BYTES = 4 * 1024 * 1024;

export interface IpRoute {
  /** In CIDR notation; `0.0.0.0/0` or `::/0` for the default route. */
  readonly destination: string;
  /** `eth0`; empty where a route leads nowhere. */
  readonly device: string;
  readonly hasGateway: boolean;
}

/**
 * Where this machine sends packets to, from all tables (ip-route(8)): VPNs have theirs beside the main
 * one. Without ip(8) those of IPv4 in the main table (proc(5)).
 */
export const ipRoutes: Fact<readonly IpRoute[]> = {
  id: 'ip-routes',
  read: async (deps) => {
    const found = await Promise.all([listed(deps, '-4'), listed(deps, '-6')]);
    const [v4 = await ofProc(deps.files), v6 = []] = found;
    return [...v4, ...v6].slice(0, ROUTES_MAX);
  },
};

export function isDefaultRoute({ destination }: IpRoute): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0';
}

/** @returns undefined where ip(8) is not there, or too old for JSON */
async function listed(
  { exec, signal }: Pick<FactDeps, 'exec' | 'signal'>,
  family: '-4' | '-6',
): Promise<readonly IpRoute[] | undefined> {
  const text = await outputOf(
    exec,
    ['ip', '-json', family, 'route', 'show', 'table', 'all'],
    signal,
  );
  try {
    const rows: unknown = JSON.parse(text ?? '');
    return Array.isArray(rows)
      ? rows.slice(0, ROUTES_MAX).flatMap((row: unknown) => routeOf(row, family) ?? [])
      : undefined;
  } catch {
    return undefined;
  }
}

/** What a tool prints; undefined where it is not there or fails. */
async function outputOf(
  exec: Exec,
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: TOOL_TIMEOUT_MS, signal });
    return exitCode === 0 ? stdout : undefined;
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

async function ofProc(files: Files): Promise<readonly IpRoute[]> {
  const text = (await files.readText('/proc/net/route', PROC_LIMIT_BYTES)) ?? '';
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [device = '', destination = '', gateway = '', , , , , mask = ''] = line.split(/\s+/);
      return mask === ''
        ? []
        : [
            {
              destination: `${addressIn(destination)}/${bitsIn(mask)}`,
              device,
              hasGateway: Number.parseInt(gateway, 16) !== 0,
            },
          ];
    });
}

/** The kernel writes the bytes of an address in the order of the processor: the first one last. */
function addressIn(hex: string): string {
  return [...Buffer.from(hex, 'hex')].reverse().join('.');
}

function bitsIn(hex: string): number {
  return Number.parseInt(hex, 16).toString(2).replaceAll('0', '').length;
}
