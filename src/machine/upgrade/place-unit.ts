/** A version writes the unit that it is made for. Its own settings of systemd (`systemctl edit`) stay. */
import { unitTextsFor } from '../../host/agent/unit-texts.ts';
import { systemctl } from '../../host/engine/systemctl.ts';
import type { MachineContext } from '../context.ts';

/** Does nothing where the unit is that one already, or is no file of ours. @throws AgentError TOOL_FAILED, DISK_FULL */
export async function placeUnit(context: MachineContext): Promise<void> {
  const { files, places } = context;
  const { text } = unitTextsFor(places).agent;
  const found = await files.readText(places.unitFile);
  if (found === undefined || found === text) {
    return;
  }
  await files.writeAtomic(places.unitFile, text, { mode: 0o644 });
  await systemctl(context, 'daemon-reload');
}
