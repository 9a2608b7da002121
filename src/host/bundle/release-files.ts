/** What a bundle holds of k3s, fetched from the network; what has come stays, and is not fetched again. */
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files, Http, StartProgress } from '../../core/ports.ts';
import { downloadFile } from '../engine/download-file.ts';
import { fetchSums, type K3sOrigin, PROGRAM_LIMIT_BYTES, type Release } from '../k3s/origin.ts';
import { type K3sArchitecture, programName } from '../k3s/release-places.ts';
import { imagesIn } from './image-archive.ts';
import type { BundleSource } from './write.ts';

const IMAGES_LIMIT_BYTES = 4 * 1024 * 1024 * 1024;
const LIST_LIMIT_BYTES = 1024 * 1024;
const LIST_NAME = 'k3s-images.txt';
/** The smallest first. */
const PACKINGS = ['.tar.zst', '.tar.gz', '.tar'];
const FILE_MODE = 0o600;
/** Names in a message. */
const NAMED_MAX = 3;

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly progress: StartProgress;
}

export interface ReleaseFiles {
  readonly sources: readonly BundleSource[];
  /** The names of the images in it. */
  readonly images: readonly string[];
}

/**
 * @param directory where the files are kept until the bundle is whole
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function fetchReleaseFiles(
  deps: Deps,
  release: Release & { readonly origin: K3sOrigin; readonly directory: string },
  signal: AbortSignal,
): Promise<ReleaseFiles> {
  const { architecture, directory, origin, version } = release;
  const at = (name: string) => `${directory}/${name}`;
  const sums = await step(deps, `Ask for k3s ${version}`, async () => {
    await deps.files.writeAtomic(at('k3s-install.sh'), await origin.installer(signal), {
      mode: FILE_MODE,
    });
    return await fetchSums(deps, release, signal);
  });
  const fetchFile = async (name: string, as: string, limitBytes: number) =>
    await step(deps, `Fetch ${name}`, async (update) => {
      const urls = release.places.map((place) => place.fileUrl(version, name));
      const sha256 = sums.get(name) ?? '';
      await downloadFile(deps, { urls, sha256, limitBytes, path: at(as) }, update, signal);
    });
  const program = listed(sums, [programName(architecture)], version);
  const archive = listed(sums, archiveNames(architecture), version);
  await fetchFile(program, 'k3s', PROGRAM_LIMIT_BYTES);
  await fetchFile(archive, archive, IMAGES_LIMIT_BYTES);
  if (sums.has(LIST_NAME)) {
    await fetchFile(LIST_NAME, LIST_NAME, LIST_LIMIT_BYTES);
  }
  const images = await step(deps, 'Compare the images with their list', () =>
    checkedImages(deps.files, at(archive), at(LIST_NAME), signal),
  );
  return {
    images,
    sources: [
      { part: 'k3s', name: 'k3s', path: at('k3s') },
      { part: 'k3s-installer', name: 'k3s-install.sh', path: at('k3s-install.sh') },
      { part: 'image-list', name: LIST_NAME, path: at(LIST_NAME) },
      { part: 'k3s-images', name: archive, path: at(archive) },
    ],
  };
}

function archiveNames(architecture: K3sArchitecture): readonly string[] {
  return PACKINGS.map((packing) => `k3s-airgap-images-${architecture}${packing}`);
}

/** The first of these names that the release has. */
function listed(
  sums: ReadonlyMap<string, string>,
  names: readonly string[],
  version: string,
): string {
  const name = names.find((each) => sums.has(each));
  if (name === undefined) {
    throw new AgentError('DOWNLOAD_FAILED', `k3s ${version} has no ${names.join(' or ')}`, {
      hint: 'Name another version (--k3s-version), or check what the mirror has',
    });
  }
  return name;
}

/** What the archive holds: all that the list of the release names, where there is one. */
async function checkedImages(
  files: Files,
  archive: string,
  list: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = await imagesIn(files, archive, signal);
  const text = await files.readText(list, LIST_LIMIT_BYTES);
  if (text === undefined) {
    await files.writeAtomic(list, `${found.join('\n')}\n`, { mode: FILE_MODE });
    return found;
  }
  const missing = text
    .split('\n')
    .map((line) => line.trim())
    .filter((name) => name !== '' && !found.includes(name));
  if (missing.length > 0) {
    const named = missing.slice(0, NAMED_MAX).join(', ');
    throw new AgentError('DOWNLOAD_CORRUPT', `The archive of images lacks ${named}`, {
      hint: 'Check what the mirror has: archive and list must be of the same version',
      details: { missing },
    });
  }
  return found;
}

async function step<T>(
  { progress: start }: Deps,
  title: string,
  work: (update: (text: string) => void) => Promise<T>,
): Promise<T> {
  const progress = await start(title);
  try {
    const result = await work(progress.update);
    progress.done();
    return result;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
