/** Whether mirrors of registries do their work: asked before anything is changed, and by k3s in the end. */
import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE, K3S_REGISTRIES_FILE } from '../../core/k3s-places.ts';
import { networkTrouble, troubleHint } from '../../core/network-trouble.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files, Http } from '../../core/ports.ts';
import { within } from '../../core/waiting.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import type { WantedRegistries } from './registries.ts';

/** k3s needs it for every pod, so that a mirror of Docker Hub has it. */
const PROBE = { repository: 'rancher/mirrored-pause', tag: '3.6' };
/** That of every pod's sandbox, and so on every node. */
export const PAUSE_IMAGE = `docker.io/${PROBE.repository}:${PROBE.tag}`;
const PROBED_REGISTRIES = ['docker.io', '*'];
const ASK_LIMIT_MS = 15_000;
const PULL_LIMIT_MS = 3 * 60_000;
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export interface AskedMirrors {
  /** What a person should know, though it stops nothing. */
  readonly notices: readonly string[];
  /** Whether one of them has the image that k3s is to pull in the end. */
  readonly hasProbe: boolean;
}

/**
 * Asks each mirror for its API, and those of Docker Hub for an image of k3s.
 * @throws AgentError DOWNLOAD_FAILED for one that does not answer as a registry
 */
export async function askMirrors(
  deps: { readonly clock: Clock; readonly http: Http },
  { mirrors }: Pick<WantedRegistries, 'mirrors'>,
  signal: AbortSignal,
): Promise<AskedMirrors> {
  const notices: string[] = [];
  let hasProbe = false;
  for (const { registry, endpoint } of mirrors) {
    const api = apiOf(endpoint);
    const status = await statusOf(deps, `${api}/`, endpoint, signal);
    if (![200, 401, 403].includes(status)) {
      throw mirrorFailure(endpoint, `it answers ${status}, which no registry does`, CHECK_ADDRESS);
    }
    if (status !== 200) {
      notices.push(`The registry mirror ${endpoint} wants a login: ${HOW_TO_LOG_IN}.\n`);
    } else if (PROBED_REGISTRIES.includes(registry)) {
      const manifest = `${api}/${PROBE.repository}/manifests/${PROBE.tag}?ns=docker.io`;
      const found = await statusOf(deps, manifest, endpoint, signal);
      hasProbe ||= found === 200;
      if (found === 404) {
        notices.push(
          `The registry mirror ${endpoint} has no ${PAUSE_IMAGE}: k3s asks Docker Hub itself for what it lacks.\n`,
        );
      }
    }
  }
  return { notices, hasProbe };
}

const CHECK_ADDRESS = 'Check the address: --registry-mirror (k3s.registry_mirrors)';
const HOW_TO_LOG_IN = `write it into ${K3S_REGISTRIES_FILE}, where it stays (docs.k3s.io, "Private Registry Configuration")`;

/** A mirror with a path of its own has it complete (docs.k3s.io). */
function apiOf(endpoint: string): string {
  return new URL(endpoint).pathname === '/' ? `${endpoint}/v2` : endpoint;
}

async function statusOf(
  { clock, http }: { readonly clock: Clock; readonly http: Http },
  url: string,
  endpoint: string,
  parent: AbortSignal,
): Promise<number> {
  try {
    return await within(clock, ASK_LIMIT_MS, parent, async (signal) => {
      const response = await http(url, { headers: { accept: MANIFEST_TYPES }, signal });
      await response.body?.cancel();
      return response.status;
    });
  } catch (thrown) {
    const trouble = networkTrouble(thrown, { ownCa: false, proxy: '' });
    throw mirrorFailure(endpoint, trouble.why, troubleHint(trouble));
  }
}

function mirrorFailure(endpoint: string, why: string, hint: string): AgentError {
  return new AgentError('DOWNLOAD_FAILED', `Cannot use the registry mirror ${endpoint}: ${why}`, {
    hint,
  });
}

interface PullDeps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** Lets k3s pull an image once with these mirrors: by its containerd, with its trust and its way out. */
export function registryPull(
  deps: PullDeps,
  wanted: WantedRegistries,
  signal: AbortSignal,
): Resource {
  const note = deps.places.registriesPulledFile;
  const { mirrors, ca } = wanted;
  const fingerprint = new Bun.CryptoHasher('sha256')
    .update(JSON.stringify([mirrors, ca]))
    .digest('hex');
  return {
    id: 'registry-pull',
    title: 'Pull an image from the mirror',
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone: async () => (await deps.files.readText(note)) === fingerprint,
    changes: async () => [],
    apply: async () => {
      const argv = [K3S_EXECUTABLE, 'crictl', 'pull', PAUSE_IMAGE] as const;
      const result = await deps.exec.run(argv, { timeoutMs: PULL_LIMIT_MS, signal });
      if (result.exitCode !== 0) {
        const last = result.stderr.trim().split('\n').at(-1) ?? '';
        throw new AgentError('DOWNLOAD_FAILED', `k3s cannot pull ${PAUSE_IMAGE}: ${last}`, {
          hint: `Check the mirrors in ${K3S_REGISTRIES_FILE}, and --ca-file where they have a certificate of their own`,
        });
      }
      await deps.files.writeAtomic(note, fingerprint, { mode: 0o600 });
    },
  };
}
