/** Whether this machine gets out: looked at before k3s is removed, and afterwards. */
import type { MachineContext } from './context.ts';

/** A resolver that is not there is asked for long. */
const ASK_TIMEOUT_MS = 5_000;
const ROUTES_LIMIT_BYTES = 4 * 1024 * 1024;

export interface WayOut {
  /** The link that the default route leads through; null where there is none. */
  readonly default_route: string | null;
  /** The name that was asked for; null where none was. */
  readonly asked: string | null;
  /** Whether it is known; null where nobody could be asked. */
  readonly names: boolean | null;
}

/** @param host a name that this machine needs; undefined asks for none */
export async function readWayOut(
  context: Pick<MachineContext, 'exec' | 'files'>,
  host: string | undefined,
): Promise<WayOut> {
  const [route, names] = await Promise.all([
    defaultRoute(context),
    host === undefined ? null : isKnown(context, host),
  ]);
  return { default_route: route, asked: host ?? null, names };
}

/** proc(5), "/proc/net/route"; for IPv6 the kernel's net/ipv6/route.c. */
async function defaultRoute({ files }: Pick<MachineContext, 'files'>): Promise<string | null> {
  const rows = async (path: string) =>
    ((await files.readText(path, ROUTES_LIMIT_BYTES)) ?? '')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
  for (const [link = '', destination, , , , , , mask] of await rows('/proc/net/route')) {
    if (destination === '00000000' && mask === '00000000') {
      return link;
    }
  }
  for (const row of await rows('/proc/net/ipv6_route')) {
    const [destination, length] = row;
    const link = row[9];
    if (
      /^0{32}$/.test(destination ?? '') &&
      length === '00' &&
      link !== undefined &&
      link !== 'lo'
    ) {
      return link;
    }
  }
  return null;
}

async function isKnown(
  { exec }: Pick<MachineContext, 'exec'>,
  host: string,
): Promise<boolean | null> {
  try {
    const argv = ['getent', 'ahosts', host] as const;
    return (await exec.run(argv, { timeoutMs: ASK_TIMEOUT_MS })).exitCode === 0;
  } catch {
    return null; // There is no such program, or no answer.
  }
}
