/** Where k3s' releases are, and what a release consists of. */
import { AgentError } from '../../core/errors.ts';

/** One place that has all of k3s' releases. */
export interface ReleasePlace {
  readonly installerUrl: string;
  /** Redirects to the version that a channel stands at (docs.k3s.io, "Release channels"). */
  readonly channelUrl: (channel: string) => string;
  readonly fileUrl: (version: string, name: string) => string;
  /** As the installer takes it in GITHUB_URL; undefined: its own. */
  readonly releasesUrl: string | undefined;
}

const UPSTREAM: ReleasePlace = {
  installerUrl: 'https://get.k3s.io',
  channelUrl: (channel) => `https://update.k3s.io/v1-release/channels/${channel}`,
  fileUrl: (version, name) =>
    `https://github.com/k3s-io/k3s/releases/download/${encodeURIComponent(version)}/${name}`,
  releasesUrl: undefined,
};

/**
 * The places to ask, in turn.
 * @param mirrors addresses in the shape of k3s' own places: install.sh, channels/, download/; k3s' own
 *   places where there are none
 */
export function releasePlaces(mirrors: readonly string[]): readonly ReleasePlace[] {
  return mirrors.length === 0 ? [UPSTREAM] : mirrors.map(mirrorPlace);
}

function mirrorPlace(mirror: string): ReleasePlace {
  return {
    installerUrl: `${mirror}/install.sh`,
    channelUrl: (channel) => `${mirror}/channels/${channel}`,
    fileUrl: (version, name) => `${mirror}/download/${encodeURIComponent(version)}/${name}`,
    releasesUrl: mirror,
  };
}

/**
 * What the first place that works gives.
 * @throws AgentError of the last place; what the others said stands before it
 */
export async function fromFirst<T>(
  places: readonly ReleasePlace[],
  ask: (place: ReleasePlace) => Promise<T>,
): Promise<T> {
  const said: string[] = [];
  for (const place of places) {
    try {
      return await ask(place);
    } catch (thrown) {
      if (!(thrown instanceof AgentError)) {
        throw thrown;
      }
      said.push(thrown.message);
      if (said.length === places.length) {
        throw said.length === 1 ? thrown : allFailed(said, thrown);
      }
    }
  }
  throw new RangeError('there is no place to ask');
}

function allFailed(said: readonly string[], last: AgentError): AgentError {
  return new AgentError(last.code, said.join('; '), {
    hint: last.hint ?? 'Check the places that it names: --k3s-mirror (PIPEOPS_K3S_MIRROR)',
    cause: last,
  });
}

/** As k3s names processors. */
export type K3sArchitecture = 'amd64' | 'arm64';

/** @param architecture as this runtime names it. @throws AgentError HOST_UNSUPPORTED */
export function k3sArchitecture(architecture: string): K3sArchitecture {
  switch (architecture) {
    case 'x64':
      return 'amd64';
    case 'arm64':
      return 'arm64';
    default:
      throw new AgentError('HOST_UNSUPPORTED', `There is no k3s for "${architecture}"`, {
        hint: 'Use a machine with an x86-64 or arm64 processor',
      });
  }
}

/** The program in a release. */
export function programName(architecture: K3sArchitecture): string {
  return architecture === 'amd64' ? 'k3s' : `k3s-${architecture}`;
}

/** The file with the hashes of all others of one architecture. */
export function sumsName(architecture: K3sArchitecture): string {
  return `sha256sum-${architecture}.txt`;
}

/** Lines of sha256sum(1): the hash in hex of each file. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').map((line) => /^([0-9a-f]{64}) [ *](\S+)$/.exec(line));
  return new Map(
    lines.flatMap((match) => (match === null ? [] : [[match[2] ?? '', match[1] ?? '']])),
  );
}
