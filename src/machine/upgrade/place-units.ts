/** A version writes the units that it is made for. Their own settings of systemd (`systemctl edit`) stay. */
import { unitTextsFor } from '../../host/agent/unit-texts.ts';
import { systemctl } from '../../host/engine/systemctl.ts';
import type { MachineContext } from '../context.ts';

/**
 * Of those that are on this machine; a version that brings a new one makes it with its `install`. A link stays: with
 * one to /dev/null a person has masked the unit. They are in force once the daemon is restarted: the others are part of
 * its unit.
 * @throws AgentError TOOL_FAILED, DISK_FULL
 */
export async function placeUnits(context: MachineContext): Promise<void> {
  const { files, places } = context;
  for (const { path, text } of Object.values(unitTextsFor(places))) {
    const isFile = (await files.stat(path))?.kind === 'file';
    if (isFile && (await files.readText(path)) !== text) {
      await files.writeAtomic(path, text, { mode: 0o644 });
    }
  }
  // Also where nothing was written now: the one before may have been killed in between.
  await systemctl(context, 'daemon-reload');
}
