import type { Config } from '../config/schema.ts';
import { installedK3sVersion } from '../host/k3s/program.ts';
import type { MachineContext } from './context.ts';
import { openDownloads, readCa } from './outbound.ts';

/**
 * The k3s that is here, or else the one that an installation would take. Undefined where nobody says
 * it: only some checks are the less exact.
 */
export async function k3sVersionHere(
  context: MachineContext,
  config: Config,
): Promise<string | undefined> {
  const installed = await installedK3sVersion(context).catch(() => undefined);
  if (installed !== undefined || config.k3s.version !== undefined) {
    return installed ?? config.k3s.version;
  }
  try {
    const downloads = await openDownloads(context, config, await readCa(context, config));
    return await downloads.origin.newestVersion(context.signal).finally(downloads.close);
  } catch {
    return undefined;
  }
}
