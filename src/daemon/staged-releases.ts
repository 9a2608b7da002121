/** Fetches releases of the agent for root's helper, which has no network and takes nothing on trust. */
import { dirname } from 'node:path';
import type { Releases } from '../commands/engine/handler.ts';
import type { Config } from '../config/schema.ts';
import type { Places } from '../core/places.ts';
import type { Clock, Files, Http } from '../core/ports.ts';
import type { ReleaseKeys } from '../core/release-keys.ts';
import { BUILD } from '../core/version.ts';
import { executablePath } from '../host/agent/executable.ts';
import { type FoundRelease, findRelease, placeOfReleases } from '../host/release/find.ts';
import { writeSignedRelease } from '../host/release/signed-files.ts';
import { fetchPacked, packedPath } from '../host/release/stage.ts';
import { type NetworkDeps, overNetwork } from './over-network.ts';

const DIRECTORY_MODE = 0o700;

interface Deps extends NetworkDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly places: Places;
  readonly architecture: string;
  readonly releaseKeys: ReleaseKeys;
}

export function stagedReleases(deps: Deps, config: Config): Releases {
  const base = placeOfReleases(config.agent.base_url);
  return {
    find: async ({ version, channel }, signal) => {
      const directory = dirname(executablePath(deps.places, BUILD.version));
      const installed = { version: BUILD.version, directory };
      const wanted = { version, channel, installed, allowExpired: false };
      const found = await overNetwork(deps, config, (http) =>
        findRelease({ ...deps, http }, base, wanted, signal),
      );
      return {
        version: found.release.manifest.version,
        stage: (update, until) =>
          overNetwork(deps, config, (http) => stage({ ...deps, http }, found, update, until)),
      };
    },
  };
}

/** Only one is kept. */
async function stage(
  deps: Deps & { readonly http: Http },
  { release: { manifest }, signed, url }: FoundRelease,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { files, places } = deps;
  const directory = places.stagedReleaseDirectory;
  const platform = `linux-${deps.architecture}`;
  const to = packedPath(directory, manifest.version, platform);
  await files.makeDirectory(directory, { mode: DIRECTORY_MODE });
  for (const name of await files.list(directory)) {
    if (!`${directory}/${name}`.startsWith(to)) {
      await files.remove(`${directory}/${name}`);
    }
  }
  await fetchPacked(deps, { manifest, platform }, { url, to }, update, signal);
  await writeSignedRelease(files, directory, signed);
}
