import type { Files } from '../core/ports.ts';
import { type HostInventory, recordNew } from './inventory.ts';
import { K3S_CONFIG_FILE, K3S_TOKEN_FILE } from './paths.ts';

/** What k3s is told in its configuration file, by the names of its flags. */
export interface K3sConfig {
  readonly [flag: string]: string | boolean | readonly string[];
}

export function serverConfig(options: { readonly traefik: boolean }): K3sConfig {
  return {
    'write-kubeconfig-mode': '0600',
    ...(options.traefik ? {} : { disable: ['traefik'] }),
  };
}

export function joiningConfig(serverUrl: string): K3sConfig {
  return { server: serverUrl, 'token-file': K3S_TOKEN_FILE };
}

/** JSON is YAML: no text needs quoting of its own. */
function renderK3sConfig(config: K3sConfig): string {
  return `# Written by pipeops-agent. Put your own settings into another file beside it.\n${Object.entries(
    config,
  )
    .map(([flag, value]) => `${flag}: ${JSON.stringify(value)}\n`)
    .join('')}`;
}

export async function isK3sConfigWritten(
  deps: { readonly files: Files },
  config: K3sConfig,
): Promise<boolean> {
  return (await deps.files.readText(K3S_CONFIG_FILE)) === renderK3sConfig(config);
}

export async function writeK3sConfig(
  deps: { readonly files: Files },
  inventory: HostInventory,
  config: K3sConfig,
): Promise<void> {
  // k3s' own uninstaller removes /etc/rancher/k3s, but neither its parent nor the node password.
  for (const directory of ['/etc/rancher', '/etc/rancher/node', '/var/lib/rancher']) {
    await recordNew(deps, inventory, { kind: 'directory', name: directory });
  }
  await deps.files.makeDirectory('/etc/rancher/k3s/config.yaml.d', { mode: 0o755 });
  await deps.files.writeAtomic(K3S_CONFIG_FILE, renderK3sConfig(config), { mode: 0o600 });
}
