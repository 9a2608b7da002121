/** Whether this machine gets out: looked at before k3s is removed, and afterwards. */
import { withoutBrackets } from '../core/text/host-and-port.ts';
import { isDefaultRoute } from '../host/facts/ip-route.ts';
import { kernelRoutes } from '../host/facts/kernel-routes.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';

/** A resolver that is not there is asked for long. */
const ASK_TIMEOUT_MS = 5_000;

export interface WayOut {
  /** The link that the default route leads through; null where there is none. */
  readonly default_route: string | null;
  /** The name that was asked for; null where none was. */
  readonly asked: string | null;
  /** Whether it is known; null where nobody could be asked. */
  readonly names: boolean | null;
}

/** Looked at before and after k3s was removed. */
export interface WaysOut {
  readonly before: WayOut;
  readonly after: WayOut;
}

/** @param removal takes the settings along, so they are read first */
export async function lookingAtWayOut<T>(
  context: MachineContext,
  removal: () => Promise<T>,
): Promise<{ readonly result: T; readonly network: WaysOut }> {
  const host = await controlPlaneHost(context);
  const before = await readWayOut(context, host);
  const result = await removal();
  return { result, network: { before, after: await readWayOut(context, host) } };
}

/** A name that this machine needs answered; undefined where the settings cannot be read. */
async function controlPlaneHost(context: MachineContext): Promise<string | undefined> {
  try {
    const { config } = await loadEffectiveConfig(context, {});
    return withoutBrackets(new URL(config.control_plane.url).hostname);
  } catch {
    return undefined; // They go as well.
  }
}

/** @param host a name that this machine needs; undefined asks for none */
async function readWayOut(
  context: Pick<MachineContext, 'exec' | 'files'>,
  host: string | undefined,
): Promise<WayOut> {
  const [route, names] = await Promise.all([
    defaultRoute(context),
    host === undefined ? null : isKnown(context, host),
  ]);
  return { default_route: route, asked: host ?? null, names };
}

async function defaultRoute({ files }: Pick<MachineContext, 'files'>): Promise<string | null> {
  return (await kernelRoutes(files)).find(isDefaultRoute)?.device ?? null;
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
