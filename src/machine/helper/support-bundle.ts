import type { StartProgress } from '../../core/ports.ts';
import { hashOfFile } from '../../host/engine/file-hash.ts';
import type { HelperRequest, MadeSupportBundle } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';
import { whoseHere } from '../snapshots/whose.ts';
import { makeSupportBundle } from '../support-bundle/make.ts';
import { readBehindWalls } from '../support-bundle/secrets.ts';
import { ROOTS_CHECKS } from './roots-checks.ts';

type Request = Extract<HelperRequest, { verb: 'support_bundle' }>;

/** Of those that commands have asked for, the newest; each has less than 20 MB (contents.ts). */
const BUNDLES_KEPT = 3;
const DIRECTORY_MODE = 0o700;
const ID_LENGTH = 12;
const SUFFIX = '.tar.gz';
/** The time, so that names are in its order, and the command. */
const NAME = /^support-(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)Z-([0-9a-f]{12})$/;

/**
 * A support bundle that the control plane asked for, of what can be had behind the walls of the helper's unit. It stays
 * on this machine. A command that runs again is answered with the one that it has made.
 * @throws AgentError FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function commandedSupportBundle(
  given: MachineContext,
  { command_id: commandId }: Request,
  tell: (progress: string) => Promise<void>,
): Promise<MadeSupportBundle> {
  const context = { ...given, progress: toldTo(tell) };
  const { clock, files, places } = context;
  const directory = places.supportBundlesDirectory;
  const digest = new Bun.CryptoHasher('sha256').update(commandId).digest('hex').slice(0, ID_LENGTH);
  const known = (await bundles(context)).find((name) => NAME.exec(name)?.[4] === digest);
  if (known !== undefined) {
    return await told(context, known);
  }
  const time = clock
    .now()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');
  const name = `support-${time}-${digest}`;
  await files.makeDirectory(directory, { mode: DIRECTORY_MODE });
  await removeOld(context);
  await makeSupportBundle(context, `${directory}/${name}${SUFFIX}`, {
    checks: (check) => ROOTS_CHECKS.includes(check),
    readOfDaemon: readBehindWalls,
  });
  return await told(context, name);
}

/** Makes room for one more; what a process that was killed has left goes as well. */
async function removeOld(context: MachineContext): Promise<void> {
  const { files, places } = context;
  const directory = places.supportBundlesDirectory;
  const kept = (await bundles(context)).slice(0, BUNDLES_KEPT - 1);
  for (const file of await files.list(directory)) {
    if (!kept.some((name) => file === `${name}${SUFFIX}`)) {
      await files.remove(`${directory}/${file}`);
    }
  }
}

/** Their names, newest first. */
async function bundles({ files, places }: MachineContext): Promise<readonly string[]> {
  const names = (await files.list(places.supportBundlesDirectory))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length));
  return names.filter((name) => NAME.test(name)).toReversed();
}

async function told(context: MachineContext, name: string): Promise<MadeSupportBundle> {
  const { files, places, signal } = context;
  const path = `${places.supportBundlesDirectory}/${name}${SUFFIX}`;
  const [, hour = '', minute = '', second = ''] = NAME.exec(name) ?? [];
  return {
    name,
    path,
    created: `${hour}:${minute}:${second}Z`,
    bytes: (await files.stat(path))?.size ?? 0,
    sha256: (await hashOfFile(files, path, signal)) ?? '',
    node: (await whoseHere(context)).node,
  };
}

function toldTo(tell: (progress: string) => Promise<void>): StartProgress {
  return async () => ({
    update: (text) => void tell(text),
    done: () => undefined,
    fail: () => undefined,
  });
}
