/** Bundles: everything that an installation needs, in one file. */
import type { LoadedConfig } from '../config/load.ts';
import { type Config, k3sMirrors } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import { BUILD } from '../core/version.ts';
import { bundleOrigin } from '../host/bundle/origin.ts';
import { fetchReleaseFiles } from '../host/bundle/release-files.ts';
import { signatureSources, verifyBundledProgram } from '../host/bundle/signature.ts';
import { type Bundle, verifyBundle } from '../host/bundle/verify.ts';
import { type BundleContent, writeBundle } from '../host/bundle/write.ts';
import { refuseForeignPlace } from '../host/engine/foreign-place.ts';
import {
  type K3sArchitecture,
  k3sArchitecture,
  releasePlaces,
} from '../host/k3s/release-places.ts';
import type { K3sPlan } from '../host/k3s/resources.ts';
import { writeSignedRelease } from '../host/release/signed-files.ts';
import type { ReleaseWish } from '../host/release/verify.ts';
import type { BundleManifest } from '../protocol/files/bundle.ts';
import type { MachineContext } from './context.ts';
import { openDownloads, readCa } from './outbound.ts';
import { mayHaveExpired, signaturesOf } from './release.ts';
import { type Report, reportedSteps } from './reported-steps.ts';

export interface BundleWishes {
  readonly report: Report;
  /** Where it is written: absolute. */
  readonly output: string;
  /** This machine's when undefined. */
  readonly architecture: K3sArchitecture | undefined;
  /** The agent's program; the running one when undefined. */
  readonly executable: string | undefined;
}

/** What a person is told of a bundle. */
export interface DescribedBundle {
  readonly path: string;
  readonly sizeBytes: number;
  readonly manifest: BundleManifest;
}

/**
 * Fetches what is missing, and makes the bundle.
 * @throws AgentError USAGE, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, FILE_ACCESS, INTERRUPTED
 */
export async function createBundle(
  context: MachineContext,
  config: Config,
  wishes: BundleWishes,
): Promise<DescribedBundle> {
  const { files, signal } = context;
  const own = k3sArchitecture(context.architecture);
  const architecture = wishes.architecture ?? own;
  if (architecture !== own && wishes.executable === undefined) {
    throw new AgentError(
      'USAGE',
      `This program is for ${own}, and the bundle for ${architecture}`,
      {
        hint: `Give the program for ${architecture}, of version ${BUILD.version}: --executable FILE`,
      },
    );
  }
  const downloads = await openDownloads(context, config, await readCa(context, config));
  try {
    const { origin, http } = downloads;
    const version = config.k3s.version ?? (await origin.newestVersion(signal));
    // Kept after a failure: the next run goes on with what has come.
    const directory = `${wishes.output}.parts`;
    await refuseForeignPlace(context, directory);
    await files.makeDirectory(directory, { mode: 0o700 });
    const places = releasePlaces(k3sMirrors(config.k3s.mirror ?? ''));
    const release = { places, version, architecture, origin, directory };
    const step = reportedSteps(wishes.report, 2);
    const { sources, images } = await step('fetch', 'Fetch k3s and its images', () =>
      fetchReleaseFiles({ ...context, http }, release, signal),
    );
    const agent = wishes.executable ?? context.execPath;
    const signed = await signaturesOf(context, http, config, {
      ...{ version: BUILD.version, path: agent, allowExpired: mayHaveExpired(context) },
      platform: architecture === 'amd64' ? 'linux-x64' : 'linux-arm64',
    });
    if (signed !== undefined) {
      await writeSignedRelease(files, directory, signed);
    }
    const signatures = signed === undefined ? [] : signatureSources(directory);
    const program = { part: 'agent', name: 'pipeops-agent', path: agent } as const;
    const content = {
      ...{ architecture, agent: { version: BUILD.version }, k3s: { version }, images },
      created: context.clock.now(),
      sources: [program, ...signatures, ...sources],
    };
    return await step('write', 'Write the bundle', () =>
      written(context, wishes.output, content, directory),
    );
  } finally {
    downloads.close();
  }
}

async function written(
  context: MachineContext,
  output: string,
  content: BundleContent,
  directory: string,
): Promise<DescribedBundle> {
  const { files, signal } = context;
  const progress = await context.progress(`Write ${output}`);
  try {
    const manifest = await writeBundle(files, output, content, progress.update, signal);
    await files.removeTree(directory);
    progress.done();
    return { path: output, sizeBytes: (await files.stat(output))?.size ?? 0, manifest };
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

/**
 * Reads all of it, and checks the signatures of its program where this one knows keys.
 * @param installed what its program is to follow
 * @throws AgentError BUNDLE_INVALID, RELEASE_UNTRUSTED, RELEASE_EXPIRED, STATE_NEWER, FILE_ACCESS, INTERRUPTED
 */
export async function readBundle(
  context: MachineContext,
  path: string,
  installed?: ReleaseWish['installed'],
): Promise<Bundle> {
  const progress = await context.progress(`Check ${path}`);
  try {
    const bundle = await verifyBundle(context.files, path, progress.update, context.signal);
    const { agent, k3s } = bundle.manifest;
    const allowExpired = mayHaveExpired(context);
    const judged = { now: context.clock.now(), allowExpired, installed };
    const release = verifyBundledProgram(context.releaseKeys, bundle, judged);
    const by =
      release === undefined
        ? 'not signed, or by keys that this build does not know'
        : `signed with release key ${release.key.number}`;
    progress.done(`pipeops-agent ${agent.version} (${by}), k3s ${k3s.version}`);
    return bundle;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

/**
 * The bundle of `--bundle`, if this program can install it on this machine; undefined where none is given.
 * @throws AgentError USAGE, HOST_UNSUPPORTED, and what `readBundle` throws
 */
export async function givenBundle(
  context: MachineContext,
  path: string | undefined,
  { k3s: { version: wantedK3s } }: Config,
): Promise<Bundle | undefined> {
  if (path === undefined) {
    return undefined;
  }
  const bundle = await readBundle(context, path);
  const { agent, k3s } = bundle.manifest;
  refuseOtherArchitecture(context, bundle);
  if (agent.version !== BUILD.version) {
    throw new AgentError(
      'USAGE',
      `${path} holds pipeops-agent ${agent.version}, and this is ${BUILD.version}`,
      { hint: `Use the program that is in it: tar -xf ${path} pipeops-agent` },
    );
  }
  if (wantedK3s !== undefined && wantedK3s !== k3s.version) {
    throw new AgentError('USAGE', `${path} holds k3s ${k3s.version}, not ${wantedK3s}`, {
      hint: 'Leave out --k3s-version (K3S_VERSION, k3s.version), or use another bundle',
    });
  }
  return bundle;
}

/** @throws AgentError HOST_UNSUPPORTED for a bundle of other processors */
export function refuseOtherArchitecture(
  { architecture: processor }: Pick<MachineContext, 'architecture'>,
  { path, manifest: { architecture } }: Bundle,
): void {
  const own = k3sArchitecture(processor);
  if (architecture !== own) {
    throw new AgentError('HOST_UNSUPPORTED', `${path} is for ${architecture}, not for ${own}`, {
      hint: `Make one for this machine: pipeops-agent bundle create --architecture ${own}`,
    });
  }
}

/** No node may be newer than its server. @throws AgentError USAGE */
export function checkNotNewer(bundle: Bundle | undefined, server: string | undefined): void {
  const version = bundle?.manifest.k3s.version;
  if (
    version !== undefined &&
    server !== undefined &&
    version.localeCompare(server, 'en', { numeric: true }) > 0
  ) {
    throw new AgentError(
      'USAGE',
      `The bundle holds k3s ${version}, and the server runs ${server}`,
      {
        hint: `Use a bundle of the server's version: pipeops-agent bundle create --k3s-version ${server}`,
      },
    );
  }
}

/** For the checks of a machine: the k3s that it will get, which is asked of no network then. */
export function withVersionOf(bundle: Bundle | undefined, loaded: LoadedConfig): LoadedConfig {
  const { config } = loaded;
  const version = bundle?.manifest.k3s.version ?? config.k3s.version;
  return { ...loaded, config: { ...config, k3s: { ...config.k3s, version } } };
}

/** Where k3s comes from: the bundle that was given, else the network. */
export async function k3sSource(
  context: MachineContext,
  config: Config,
  ca: string | undefined,
  bundle: Bundle | undefined,
): Promise<Pick<K3sPlan, 'authorities' | 'origin'>> {
  if (bundle !== undefined) {
    return { authorities: undefined, origin: bundleOrigin(context.files, bundle) };
  }
  const { authorities, origin } = await openDownloads(context, config, ca);
  return { authorities, origin };
}
