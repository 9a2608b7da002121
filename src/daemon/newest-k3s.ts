import type { CommandDeps } from '../commands/engine/handler.ts';
import { type Config, k3sMirrors } from '../config/schema.ts';
import type { Places } from '../core/places.ts';
import type { Clock, Files } from '../core/ports.ts';
import { type NetworkDeps, overNetwork } from './over-network.ts';

interface Deps extends NetworkDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly places: Places;
  readonly architecture: string;
}

/** From the places that root has named for k3s, or its own. */
export function newestK3sOf(deps: Deps, config: Config): CommandDeps['newestK3s'] {
  return async (channel, signal) => {
    // Hardly any daemon ever asks.
    const { networkOrigin } = await import('../host/k3s/origin.ts');
    const { k3sArchitecture } = await import('../host/k3s/release-places.ts');
    const architecture = k3sArchitecture(deps.architecture);
    const mirrors = k3sMirrors(config.k3s.mirror ?? '');
    return await overNetwork(deps, config, (http) =>
      networkOrigin({ ...deps, http }, mirrors, architecture).newestVersion(signal, channel),
    );
  };
}
