import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { diskFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import {
  type Command,
  LEFT_AS_IT_IS,
  type Making,
  type Resource,
  type UndoOptions,
} from '../engine/resource.ts';
import { isListed } from './account.ts';

const TIMEOUT_MS = 30_000;

/**
 * Runs as the daemon's user. Root must not follow a path in the daemon's directory, because a link there
 * could lead it anywhere. The secret comes in on standard input.
 */
const storeScript = (file: string) => `
set -eu
umask 077
mkdir -p "${dirname(file)}"
cat > "${file}.new"
mv "${file}.new" "${file}"
`;

interface Deps {
  readonly exec: Exec;
  readonly places: Places;
}

interface UndoDeps extends Deps {
  readonly files: Files;
}

/** Hands the control-plane token to the daemon. */
export function controlPlaneToken(
  deps: UndoDeps,
  inventory: HostInventory,
  token: string | undefined,
): Resource {
  return handedOver(deps, inventory, {
    id: 'control-plane-token',
    what: 'the control-plane token',
    file: deps.places.controlPlaneTokenFile,
    beside: [deps.places.tokenTrialFile],
    secret: token,
  });
}

/** Whether the daemon has a token. Somebody may have removed the one that an earlier run gave it. */
export async function hasControlPlaneToken(deps: Deps, inventory: HostInventory): Promise<boolean> {
  return (
    inventory.has('file', deps.places.controlPlaneTokenFile) &&
    (await asAgent(deps, `test -s ${deps.places.controlPlaneTokenFile}`)).exitCode === 0
  );
}

/** Hands `user:password` of the proxy to the daemon. */
export function proxyCredentials(
  deps: UndoDeps,
  inventory: HostInventory,
  secret: string | undefined,
): Resource {
  return handedOver(deps, inventory, {
    id: 'proxy-credentials',
    what: 'the credentials of the proxy',
    file: deps.places.proxyCredentialsFile,
    secret,
  });
}

/** A secret that root hands over to the daemon. */
interface HandedOver {
  readonly id: string;
  /** For a person: "the control-plane token". */
  readonly what: string;
  readonly file: string;
  /** The daemon's own, which go with it. */
  readonly beside?: readonly string[];
  /** Undefined where nobody has given one this time. */
  readonly secret: string | undefined;
}

/**
 * Secrets that stay because the daemon's user is gone: nobody else may follow their paths. That can only
 * be so where the directory was here before us.
 */
export async function keptSecrets(
  { files, places }: Pick<UndoDeps, 'files' | 'places'>,
  inventory: HostInventory,
  how: UndoOptions,
): Promise<readonly string[]> {
  const ofUser = [places.controlPlaneTokenFile, places.proxyCredentialsFile].filter((file) =>
    isRemoved(places, inventory, file, how),
  );
  return (await isListed(files, '/etc/passwd')) ? [] : ofUser;
}

/** Whether a secret is removed by itself. Otherwise it goes with its directory. */
function isRemoved(
  { stateDirectory }: Places,
  inventory: HostInventory,
  file: string,
  { keepData }: UndoOptions,
): boolean {
  return !keepData && inventory.has('file', file) && !inventory.has('directory', stateDirectory);
}

function handedOver(deps: UndoDeps, inventory: HostInventory, given: HandedOver): Resource {
  const { id, what, file, beside = [], secret } = given;
  const entry = { kind: 'file', name: file } as const;
  return {
    id,
    title: `Keep ${what}`,
    touches: [file],
    entries: [entry],
    ...(secret === undefined ? LEFT_AS_IT_IS : secretMaking(deps, inventory, given, secret)),
    undo: async (how) =>
      isRemoved(deps.places, inventory, file, how) && (await isListed(deps.files, '/etc/passwd'))
        ? [
            {
              title: `Remove file ${file}`,
              changes: [{ action: 'remove', target: file }],
              entries: [entry],
              run: () => removeAsAgent(deps, file, beside),
            },
          ]
        : [],
  };
}

function secretMaking(
  deps: Deps,
  inventory: HostInventory,
  { what, file }: HandedOver,
  secret: string,
): Making {
  const withSecret = (script: string) => asAgent(deps, script, `${secret}\n`);
  const isDone = async () =>
    inventory.has('file', file) && (await withSecret(`cmp -s - ${file}`)).exitCode === 0;
  return {
    isWanted: true,
    isDone,
    apply: async () => {
      await inventory.record({ kind: 'file', name: file });
      const result = await withSecret(storeScript(file));
      if (result.exitCode !== 0) {
        throw (
          diskFull(result.stderr, `keep ${what}`, file) ??
          new AgentError('FILE_ACCESS', `Cannot keep ${what} in ${file}: ${result.stderr}`, {
            hint: `Check the permissions of ${deps.places.stateDirectory}`,
          })
        );
      }
    },
    changes: async () => {
      const isThere = inventory.has('file', file);
      return [{ action: (await isDone()) ? 'keep' : isThere ? 'change' : 'create', target: file }];
    },
    // The secret itself comes in on standard input.
    commands: async () => [asAgentCommand(storeScript(file))],
  };
}

/** Removes the directory, too, if it is empty then. @throws AgentError FILE_ACCESS */
async function removeAsAgent(deps: Deps, file: string, beside: readonly string[]): Promise<void> {
  const result = await asAgent(deps, `rm -f ${[file, ...beside].join(' ')}`);
  if (result.exitCode !== 0) {
    throw new AgentError('FILE_ACCESS', `Cannot remove ${file}: ${result.stderr.trim()}`, {
      hint: `Remove it by hand: sudo runuser -u ${AGENT_USER} -- rm -f ${file}`,
    });
  }
  await asAgent(deps, `rmdir ${dirname(file)}`);
}

function asAgent(deps: Deps, script: string, stdin = '') {
  return deps.exec.run(asAgentCommand(script), { timeoutMs: TIMEOUT_MS, stdin });
}

function asAgentCommand(script: string): Command {
  return ['runuser', '-u', AGENT_USER, '--', 'sh', '-c', script];
}
