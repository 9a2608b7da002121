import { AgentError } from '../core/errors.ts';
import type { Exec } from '../core/ports.ts';
import type { HostInventory } from './inventory.ts';
import { AGENT_USER, CONTROL_PLANE_TOKEN_FILE, STATE_DIRECTORY } from './paths.ts';
import type { Step } from './steps.ts';

const TIMEOUT_MS = 30_000;

/**
 * Runs as the daemon's user: root must not follow what stands in a directory of the daemon's,
 * where a link could lead it anywhere. The token comes in on standard input.
 */
const STORE_SCRIPT = `
set -eu
umask 077
directory=${STATE_DIRECTORY}/credentials
mkdir -p "$directory"
cat > "$directory/.control-plane-token.new"
mv "$directory/.control-plane-token.new" "$directory/control-plane-token"
`;

const COMPARE_SCRIPT = `cmp -s - ${CONTROL_PLANE_TOKEN_FILE}`;

/** Hands the control-plane token to the daemon. */
export function controlPlaneToken(
  deps: { readonly exec: Exec },
  inventory: HostInventory,
  token: string,
): Step {
  const asAgent = (script: string) =>
    deps.exec.run(['runuser', '-u', AGENT_USER, '--', 'sh', '-c', script], {
      timeoutMs: TIMEOUT_MS,
      stdin: `${token}\n`,
    });
  return {
    id: 'control-plane-token',
    title: 'Keep the control-plane token',
    touches: [CONTROL_PLANE_TOKEN_FILE],
    isDone: async () =>
      inventory.has('file', CONTROL_PLANE_TOKEN_FILE) &&
      (await asAgent(COMPARE_SCRIPT)).exitCode === 0,
    apply: async () => {
      await inventory.record({ kind: 'file', name: CONTROL_PLANE_TOKEN_FILE });
      const result = await asAgent(STORE_SCRIPT);
      if (result.exitCode !== 0) {
        const full = /no space left/i.test(result.stderr);
        throw new AgentError(
          full ? 'DISK_FULL' : 'FILE_ACCESS',
          `Cannot keep the control-plane token: ${result.stderr}`,
          { hint: `Check the space and the permissions of ${STATE_DIRECTORY}` },
        );
      }
    },
  };
}
