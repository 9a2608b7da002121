/** `upgrade` and `rollback`: another version of the agent takes over, or everything stays as it was. */
import { basename, dirname } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { AgentError, expectedError } from '../../core/errors.ts';
import type { Http } from '../../core/ports.ts';
import { compareVersions } from '../../core/text/compare-versions.ts';
import {
  executablePath,
  linkedExecutable,
  previousExecutable,
} from '../../host/agent/executable.ts';
import { readHold, requireUnpinned } from '../../host/agent/upgrade/hold.ts';
import { tryOut } from '../../host/agent/upgrade/try-out.ts';
import { placeFile } from '../../host/engine/place-file.ts';
import {
  type FoundRelease,
  findRelease,
  installedKeyNumber,
  placeOfReleases,
} from '../../host/release/find.ts';
import { writeSignedRelease } from '../../host/release/signed-files.ts';
import { packedPath, stageRelease } from '../../host/release/stage.ts';
import type { UpgradeResult } from '../../protocol/files/upgrade.ts';
import { readBundle, refuseOtherArchitecture } from '../bundle.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { openDownloads, readCa } from '../outbound.ts';
import { refusePackaged } from '../packaged.ts';
import { mayHaveExpired } from '../release.ts';
import { changeVersion, knownToRun, refuseSecondChange } from './change.ts';

const PROGRAM_MODE = 0o755;

export interface UpgradeWishes {
  /** The newest of the channel when undefined. */
  readonly version: string | undefined;
  readonly channel: string;
  /** Taken from there, and from no network. */
  readonly bundle: string | undefined;
  /** Only say what there is. */
  readonly isCheck: boolean;
}

/** What `upgrade` did, or would do. */
export type UpgradeOutcome =
  | { readonly kind: 'current'; readonly version: string }
  | { readonly kind: 'available'; readonly from: string; readonly version: string }
  | { readonly kind: 'changed'; readonly result: UpgradeResult };

/**
 * Fetches a release, checks its signatures, lets it show that it can take over, and switches to it.
 * @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED, UPGRADE_FAILED, NOT_INSTALLED, BUSY,
 *   INSTALLED_OTHERWISE, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, UPGRADE_HELD, INTERRUPTED
 */
export async function upgradeAgent(
  context: MachineContext,
  wishes: UpgradeWishes,
): Promise<UpgradeOutcome> {
  await refusePackaged(context, 'upgrade');
  const from = await installedVersion(context);
  if (wishes.bundle !== undefined) {
    return await upgradeTo(context, from, wishes, await inBundle(context, from, wishes.bundle));
  }
  const config = await readableConfig(context);
  const downloads = await openDownloads(context, config, await readCa(context, config));
  try {
    const found = await findAndTell(context, downloads.http, config, from, wishes);
    const { version } = found.release.manifest;
    const place = () => stage(context, downloads.http, found);
    return await upgradeTo(context, from, wishes, { version, place });
  } finally {
    downloads.close();
  }
}

/** A version that may take over. */
interface Candidate {
  readonly version: string;
  /** Puts it beside the present one. */
  readonly place: () => Promise<void>;
}

async function upgradeTo(
  context: MachineContext,
  from: string,
  { isCheck }: UpgradeWishes,
  { version, place }: Candidate,
): Promise<UpgradeOutcome> {
  if (compareVersions(version, from) < 0) {
    throw new AgentError('RELEASE_REFUSED', `${version} is older than ${from}, which is here`, {
      hint: 'To go back to a version that was here: sudo pipeops-agent rollback',
    });
  }
  if (version === from) {
    return { kind: 'current', version };
  }
  if (isCheck) {
    return { kind: 'available', from, version };
  }
  requireUnpinned(await readHold(context), version);
  await refuseSecondChange(context);
  await place();
  await showsThatItRuns(context, from, version);
  const result = await changeVersion(context, { kind: 'upgrade', from, to: version });
  return { kind: 'changed', result };
}

/** All of it was read and compared when this returns; its program is compared once more when it is placed. */
async function inBundle(context: MachineContext, from: string, path: string): Promise<Candidate> {
  const { files, places, signal } = context;
  const keyNumber = await installedKeyNumber(context, directoryOf(context, from));
  const bundle = await readBundle(context, path, { version: from, keyNumber });
  refuseOtherArchitecture(context, bundle);
  const { version } = bundle.manifest.agent;
  const to = executablePath(places, version);
  return {
    version,
    place: async () => {
      await files.claimDirectory(dirname(to), { mode: PROGRAM_MODE });
      await placeFile(files, bundle.file('agent'), { path: to, mode: PROGRAM_MODE }, signal);
      if (bundle.signed !== undefined) {
        await writeSignedRelease(files, dirname(to), bundle.signed);
      }
    },
  };
}

/**
 * Switches to a version that is still here. @param wanted the one before when undefined
 * @throws AgentError NOT_FOUND, UPGRADE_FAILED, NOT_INSTALLED, INSTALLED_OTHERWISE, BUSY, INTERRUPTED
 */
export async function rollBackAgent(
  context: MachineContext,
  wanted: string | undefined,
): Promise<UpgradeResult> {
  await refusePackaged(context, 'downgrade');
  const from = await installedVersion(context);
  const before = await previousExecutable(context);
  const to = wanted ?? (before === undefined ? undefined : basename(dirname(before)));
  const isHere =
    to !== undefined &&
    (await context.files.stat(executablePath(context.places, to))) !== undefined;
  if (to === undefined || to === from || !isHere) {
    const named = to === undefined ? 'another version' : to === from ? 'a version beside it' : to;
    throw new AgentError('NOT_FOUND', `${from} runs here, and ${named} is not here`, {
      hint: `See what is: ls ${context.places.versionsDirectory}; another one comes with: upgrade --to VERSION`,
    });
  }
  await refuseSecondChange(context);
  return await changeVersion(context, { kind: 'rollback', from, to });
}

/** @throws AgentError NOT_INSTALLED, also where something else than install.sh has put the program */
export async function installedVersion(context: MachineContext): Promise<string> {
  const { places } = context;
  const isLink = (await context.files.stat(places.executableLink))?.kind === 'link';
  const linked = isLink ? await linkedExecutable(context) : undefined;
  const version = linked === undefined ? '' : basename(dirname(linked));
  if (linked !== executablePath(places, version)) {
    throw new AgentError(
      'NOT_INSTALLED',
      `${places.executableLink} does not lead to a version in ${places.versionsDirectory}`,
      {
        hint: 'Run install.sh, which places both',
      },
    );
  }
  return version;
}

/** Settings that cannot be read keep nobody from a version that can read them, or from a mended one. */
async function readableConfig(context: MachineContext): Promise<Config> {
  try {
    return (await loadEffectiveConfig(context, {})).config;
  } catch (thrown) {
    context.log.warn('The settings cannot be read: only the environment counts', {
      error: expectedError(thrown).message,
    });
    const { env, hostname, places } = context;
    const nothing = { fileText: undefined, filePath: places.configFile };
    return loadConfig({ flags: {}, env, hostname, ...nothing }).config;
  }
}

async function findAndTell(
  context: MachineContext,
  http: Http,
  { agent }: Config,
  from: string,
  { version, channel }: UpgradeWishes,
): Promise<FoundRelease> {
  const base = placeOfReleases(agent.base_url);
  const progress = await context.progress(`Ask ${base}`);
  try {
    const allowExpired = mayHaveExpired(context);
    const installed = { version: from, directory: directoryOf(context, from) };
    const wanted = { version, channel, installed, allowExpired };
    const found = await findRelease({ ...context, http }, base, wanted, context.signal);
    const { manifest, key } = found.release;
    progress.done(`${manifest.version}, signed with release key ${key.number}`);
    return found;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

function directoryOf({ places }: MachineContext, version: string): string {
  return dirname(executablePath(places, version));
}

async function stage(
  context: MachineContext,
  http: Http,
  { release: { manifest }, signed, url }: FoundRelease,
): Promise<void> {
  const { architecture, clock, files, places, signal } = context;
  const progress = await context.progress(`Fetch pipeops-agent ${manifest.version}`);
  try {
    const path = executablePath(places, manifest.version);
    const platform = `linux-${architecture}`;
    const to = packedPath(places.downloadDirectory, manifest.version, platform);
    const staging = { manifest, signed, platform, path };
    const deps = { clock, files, http };
    await stageRelease(deps, staging, { url, to }, progress.update, signal);
    progress.done();
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

export async function showsThatItRuns(
  context: MachineContext,
  from: string,
  version: string,
): Promise<void> {
  const progress = await context.progress(`Try ${version} on a copy of the state`);
  try {
    const next = executablePath(context.places, version);
    await tryOut(context, { present: knownToRun(context, from), next }, version);
    progress.done();
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
