/** Where k3s is to pull images from, as the settings say, and whether that works. */
import { parseRegistryMirror } from '../config/registry-mirrors.ts';
import type { Config } from '../config/schema.ts';
import type { K3sRole } from '../core/k3s-places.ts';
import type { WantedRegistries } from '../host/k3s/registries.ts';
import { askMirrors } from '../host/k3s/registry-pull.ts';
import type { MachineContext } from './context.ts';
import { openDownloads } from './outbound.ts';

/** What k3s is told of registries, and whether it is to pull from them at once. */
export interface Registries {
  readonly registries: WantedRegistries;
  /** One of the mirrors has the image for that. */
  readonly pulls: boolean;
}

/**
 * Asks the mirrors first.
 * @throws AgentError DOWNLOAD_FAILED for one that is no registry
 */
export async function wantedRegistries(
  context: MachineContext,
  config: Config,
  { role, ca }: { readonly role: K3sRole; readonly ca: string | undefined },
  notice: (text: string) => void,
): Promise<Registries> {
  const mirrors = config.k3s.registry_mirrors.flatMap((text) => parseRegistryMirror(text) ?? []);
  const registries = { role, mirrors, shared: config.k3s.embedded_registry, ca };
  if (mirrors.length === 0) {
    return { registries, pulls: false };
  }
  const progress = await context.progress('Ask the registry mirrors');
  const { http, close } = await openDownloads(context, config, ca);
  try {
    const deps = { clock: context.clock, http };
    const { notices, hasProbe } = await askMirrors(deps, registries, context.signal);
    progress.done();
    notice(notices.join(''));
    return { registries, pulls: hasProbe };
  } catch (thrown) {
    progress.fail();
    throw thrown;
  } finally {
    close();
  }
}
