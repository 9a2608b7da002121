/** Installs k3s on a test machine as people do: the installer, from a mirror, with a config file. */

import type { K3sMirror } from './k3s-mirror.ts';
import type { Machine } from './machine.ts';
import { waitUntil } from './wait-until.ts';

const INSTALL_TIMEOUT_MS = 180_000;
const NODE_READY_TIMEOUT_MS = 120_000;

export interface K3sInstallOptions {
  readonly role: 'server' | 'agent';
  /** k3s' configuration: keys as in its config file. Values are strings; no secrets needed here. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Runs the installer to its end: for a server, k3s is then active; its node may not be ready yet. */
export async function installK3s(
  machine: Machine,
  mirror: K3sMirror,
  options: K3sInstallOptions,
): Promise<void> {
  if (options.config !== undefined) {
    // JSON is YAML.
    const text = JSON.stringify(options.config, null, 2);
    await machine.writeFile('/etc/rancher/k3s/config.yaml.d/50-test.yaml', text, { mode: 0o600 });
  }
  await machine.exec(['curl', '-fsSL', '-o', '/tmp/k3s-install.sh', `${mirror.url}/install.sh`]);
  await machine.exec(['sh', '/tmp/k3s-install.sh'], {
    env: {
      INSTALL_K3S_EXEC: options.role,
      INSTALL_K3S_VERSION: mirror.version,
      GITHUB_URL: mirror.url,
    },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
}

/** Waits until the node is Ready, asking on a server. */
export async function waitForNode(server: Machine, node: string): Promise<void> {
  await waitUntil(`node '${node}' is ready`, NODE_READY_TIMEOUT_MS, async () => {
    const { stdout } = await server.exec(['k3s', 'kubectl', 'get', 'node', node, '--no-headers'], {
      check: false,
    });
    return / Ready /.test(stdout);
  });
}
