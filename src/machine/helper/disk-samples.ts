import { expectedError } from '../../core/errors.ts';
import { RANCHER_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import { diskSamplesText, parseDiskSamples } from '../../protocol/files/disk-samples.ts';
import type { MachineContext } from '../context.ts';

/** The daemon looks every hour, give or take; who asks more often adds nothing. */
const APART_MS_MIN = 45 * 60_000;

/** Notes how full the disk of images, containers and data of Kubernetes is now, for the check that says where that leads (host/checks/disk-trend.ts). */
export async function noteDiskSample(context: MachineContext): Promise<void> {
  const { clock, files, places } = context;
  const samples = parseDiskSamples(await files.readText(places.diskSamplesFile));
  const now = clock.now();
  const lastMs = Date.parse(samples.at(-1)?.at ?? '');
  // One of the future was noted while the clock was ahead.
  const past = samples.filter(({ at }) => Date.parse(at) <= now.getTime());
  if (now.getTime() - lastMs < APART_MS_MIN && past.length === samples.length) {
    return;
  }
  const { freeBytes, totalBytes } = await files.diskSpace(RANCHER_DATA_DIRECTORY);
  const disks = [{ path: RANCHER_DATA_DIRECTORY, used: totalBytes - freeBytes, total: totalBytes }];
  try {
    const text = diskSamplesText([...past, { at: now.toISOString(), disks }]);
    await files.writeAtomic(places.diskSamplesFile, text, { mode: 0o600 });
  } catch (thrown) {
    // On a full disk there is nothing to predict any more.
    expectedError(thrown);
  }
}
