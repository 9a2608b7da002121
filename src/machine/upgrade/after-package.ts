/**
 * After a package manager has put another version in the place of the one that runs: the daemon is restarted with
 * it once it has shown that it runs here. The version before is gone from the disk, so there is no way back by
 * itself; where the new one fails its self-test, the daemon of the one before goes on as long as its process does.
 */
import { AgentError, expectedError } from '../../core/errors.ts';
import { UNIT_NAME } from '../../core/places.ts';
import { BUILD } from '../../core/version.ts';
import { tryOut } from '../../host/agent/upgrade/try-out.ts';
import { isActive } from '../../host/engine/systemctl.ts';
import type { MachineContext } from '../context.ts';
import { downgradeHint } from '../packaged.ts';
import { hasSession } from './change.ts';
import { judge } from './watch.ts';

/**
 * @returns what has become of it, for a person
 * @throws AgentError UPGRADE_FAILED, BUSY, INTERRUPTED
 */
export async function takeOverFromPackage(context: MachineContext): Promise<string> {
  const { version } = BUILD;
  if (!(await isActive(context, UNIT_NAME))) {
    return `pipeops-agent ${version} is here. The agent does not run: it was not started`;
  }
  const hadSession = await hasSession(context);
  const hint = await downgradeHint(context);
  try {
    await tryOut(context, { present: undefined, next: context.execPath }, version);
  } catch (thrown) {
    const { code, message } = expectedError(thrown);
    throw new AgentError(code, `${message}. The version before goes on until it ends`, { hint });
  }
  const why = await judge(context, { version, hadSession, isWayBack: false });
  if (why !== undefined) {
    throw new AgentError('UPGRADE_FAILED', `${version} is not well here: ${why}`, { hint });
  }
  return `pipeops-agent ${version} runs now`;
}
