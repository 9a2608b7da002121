/**
 * What a version says of itself before it takes over: it runs, it can use a copy of the agent's store, and it
 * understands the settings. Run as the agent's user, in a unit that ends.
 */
import { expectedError } from '../../core/errors.ts';
import { BUILD } from '../../core/version.ts';
import type { SelfTest } from '../../protocol/files/upgrade.ts';
import { copyDatabase } from '../../store/copy.ts';
import { openDatabase } from '../../store/database.ts';
import { machineTrouble } from '../../store/trouble.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';

/**
 * @param from the store that is in use; undefined: the copy is there already
 * @throws AgentError STATE_NEWER where only a newer version can use the store; DISK_FULL, BUSY
 */
export async function selfTest(
  context: MachineContext,
  { from, copy }: { readonly from: string | undefined; readonly copy: string },
): Promise<SelfTest> {
  return {
    version: BUILD.version,
    store: await testStore(context, from, copy),
    config: await loadEffectiveConfig(context, {}).then(
      () => null,
      (thrown: unknown) => expectedError(thrown).message,
    ),
  };
}

async function testStore(
  { clock, files }: MachineContext,
  from: string | undefined,
  copy: string,
): Promise<SelfTest['store']> {
  if (from !== undefined) {
    if ((await files.stat(from)) === undefined) {
      return 'absent';
    }
    try {
      copyDatabase(from, copy);
    } catch (thrown) {
      const trouble = machineTrouble('copy', copy, thrown);
      if (trouble?.code === 'DISK_FULL' || trouble?.code === 'BUSY') {
        throw trouble; // It says nothing of the store.
      }
      return 'damaged'; // Any version sets it aside, and begins anew.
    }
  }
  const { database, setAsidePath } = openDatabase({ clock }, copy);
  database.close();
  return setAsidePath === undefined ? 'good' : 'damaged';
}
