import { AgentError } from '../../core/errors.ts';
import {
  AGENT_USER,
  CONTROL_PLANE_TOKEN_FILE,
  PROXY_CREDENTIALS_FILE,
  STATE_DIRECTORY,
} from '../../core/places.ts';
import type { Exec } from '../../core/ports.ts';
import { diskFull } from '../engine/disk-full.ts';
import type { HostInventory } from '../engine/inventory.ts';
import type { Step } from '../engine/steps.ts';

const TIMEOUT_MS = 30_000;

/**
 * Runs as the daemon's user: root must not follow what stands in a directory of the daemon's,
 * where a link could lead it anywhere. The secret comes in on standard input.
 */
const storeScript = (file: string) => `
set -eu
umask 077
mkdir -p "${STATE_DIRECTORY}/credentials"
cat > "${file}.new"
mv "${file}.new" "${file}"
`;

interface Deps {
  readonly exec: Exec;
}

/** Hands the control-plane token to the daemon. */
export function controlPlaneToken(deps: Deps, inventory: HostInventory, token: string): Step {
  return secretStep(deps, inventory, {
    id: 'control-plane-token',
    what: 'the control-plane token',
    file: CONTROL_PLANE_TOKEN_FILE,
    secret: token,
  });
}

/** Whether the daemon has one: somebody may have taken away what an earlier run gave it. */
export async function hasControlPlaneToken(deps: Deps, inventory: HostInventory): Promise<boolean> {
  return (
    inventory.has('file', CONTROL_PLANE_TOKEN_FILE) &&
    (await asAgent(deps, `test -s ${CONTROL_PLANE_TOKEN_FILE}`)).exitCode === 0
  );
}

/** Hands `user:password` of the proxy to the daemon. */
export function proxyCredentials(deps: Deps, inventory: HostInventory, secret: string): Step {
  return secretStep(deps, inventory, {
    id: 'proxy-credentials',
    what: 'the credentials of the proxy',
    file: PROXY_CREDENTIALS_FILE,
    secret,
  });
}

/** Removes what one of these steps has kept. @throws AgentError FILE_ACCESS */
export async function removeAsAgent(deps: Deps, file: string): Promise<void> {
  const result = await asAgent(deps, `rm -f ${file}`);
  if (result.exitCode !== 0) {
    throw new AgentError('FILE_ACCESS', `Cannot remove ${file}: ${result.stderr.trim()}`, {
      hint: `Remove it by hand: sudo runuser -u ${AGENT_USER} -- rm -f ${file}`,
    });
  }
}

function secretStep(
  deps: Deps,
  inventory: HostInventory,
  { id, what, file, secret }: { id: string; what: string; file: string; secret: string },
): Step {
  const withSecret = (script: string) => asAgent(deps, script, `${secret}\n`);
  return {
    id,
    title: `Keep ${what}`,
    touches: [file],
    isDone: async () =>
      inventory.has('file', file) && (await withSecret(`cmp -s - ${file}`)).exitCode === 0,
    apply: async () => {
      await inventory.record({ kind: 'file', name: file });
      const result = await withSecret(storeScript(file));
      if (result.exitCode !== 0) {
        throw (
          diskFull(result.stderr, `keep ${what}`, file) ??
          new AgentError('FILE_ACCESS', `Cannot keep ${what} in ${file}: ${result.stderr}`, {
            hint: `Check the permissions of ${STATE_DIRECTORY}`,
          })
        );
      }
    },
  };
}

function asAgent(deps: Deps, script: string, stdin = '') {
  return deps.exec.run(['runuser', '-u', AGENT_USER, '--', 'sh', '-c', script], {
    timeoutMs: TIMEOUT_MS,
    stdin,
  });
}
