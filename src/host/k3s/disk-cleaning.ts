/** Removes what nobody needs from the disk: all of it can be had again. */
import { basename } from 'node:path';
import { AgentError, expectedError } from '../../core/errors.ts';
import { K3S_DATA_DIRECTORY, K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import {
  type Command,
  LEAVES_NOTHING,
  LEFT_AS_IT_IS,
  type Making,
  type Resource,
} from '../engine/resource.ts';

export const DISK_CLEANING_ID = 'disk-cleaning';

/** Many images on a slow disk. */
const TIMEOUT_MS = 10 * 60_000;
const VACUUM: Command = ['journalctl', '--vacuum-size=200M'];
const PRUNE: Command = [K3S_EXECUTABLE, 'crictl', 'rmi', '--prune'];
/** k3s unpacks itself here, each version into a directory named by its hash. */
const UNPACKED = `${K3S_DATA_DIRECTORY}/data`;
const HASH = /^[0-9a-f]{64}$/;
/** Links to the version that runs and to the one before. */
const KEPT_BY = ['current', 'previous'];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** Images that no container uses, the older part of the journal, and programs of earlier versions of k3s. */
export function diskCleaning(deps: Deps, isWanted: boolean): Resource {
  const making: Making = {
    isWanted: true,
    // Nobody knows beforehand what images and journal would give back.
    isDone: async () => false,
    verify: async () => true,
    apply: async (update) => {
      const troubles: AgentError[] = [];
      for (const command of await commandsHere(deps)) {
        update(command.join(' '));
        troubles.push(...(await run(deps.exec, command)));
      }
      for (const path of await oldVersions(deps.files)) {
        await deps.files.removeTree(path);
      }
      const [first] = troubles;
      if (first !== undefined) {
        throw first;
      }
    },
    changes: async () =>
      (await oldVersions(deps.files)).map((target) => ({ action: 'remove', target })),
    commands: async () => await commandsHere(deps),
  };
  return {
    id: DISK_CLEANING_ID,
    title: 'Remove from the disk what nobody needs',
    touches: [],
    ...LEAVES_NOTHING,
    ...(isWanted ? making : LEFT_AS_IT_IS),
  };
}

async function commandsHere({ files }: Deps): Promise<readonly Command[]> {
  const hasK3s = (await files.stat(K3S_EXECUTABLE)) !== undefined;
  return hasK3s ? [PRUNE, VACUUM] : [VACUUM];
}

/** None where it is not known which one runs. */
async function oldVersions(files: Files): Promise<readonly string[]> {
  const links = await Promise.all(KEPT_BY.map((name) => files.readLink(`${UNPACKED}/${name}`)));
  const [current] = links;
  const kept = links.flatMap((target) => (target === undefined ? [] : basename(target)));
  return current === undefined
    ? []
    : (await files.list(UNPACKED))
        .filter((name) => HASH.test(name) && !kept.includes(name))
        .map((name) => `${UNPACKED}/${name}`);
}

/** Each is tried: room that one cannot make another may. */
async function run(exec: Exec, argv: Command): Promise<readonly AgentError[]> {
  try {
    const { exitCode, stdout, stderr } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
    const said = (stderr || stdout).trim().split('\n').at(-1) ?? '';
    return exitCode === 0
      ? []
      : [
          new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${said}`, {
            hint: 'The rest was done. Correct what it says, then run the same command again',
            details: { argv: [...argv], exit: exitCode },
          }),
        ];
  } catch (thrown) {
    return [expectedError(thrown)];
  }
}
