/** Makes the file tree of a new machine: a copy of a base system with a name and an address. */

import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseName, baseSystem } from './base-system.ts';
import { runCommand } from './host-command.ts';
import { testImages } from './images.ts';
import { PREFIX_LENGTH } from './network.ts';

export interface MachineFilesOptions {
  readonly root: string;
  readonly base: BaseName;
  readonly hostname: string;
  readonly address: string;
  readonly gateway: string;
  readonly images: boolean;
  /** Name to address, for /etc/hosts. */
  readonly hosts: Readonly<Record<string, string>>;
  /** PEM of an authority that the system trusts beside the public ones. */
  readonly authority: string;
}

export async function makeMachineFiles(options: MachineFilesOptions): Promise<void> {
  const { root } = options;
  await mkdir(root, { recursive: true });
  // A copy (0.4 s), not an overlay: the machine's containerd makes overlays, which cannot be nested.
  const base = await baseSystem(options.base);
  await runCommand(['cp', '--archive', '--reflink=auto', `${base}/.`, root]);
  await writeFile(join(root, 'etc/hostname'), `${options.hostname}\n`);
  // Given here, because without one systemd would treat the boot as the first one ever.
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');
  await writeFile(join(root, 'etc/machine-id'), `${id}\n`);
  await writeFile(join(root, 'etc/hosts'), hostsFile(options));
  // Nothing answers there, so a lookup fails at once instead of after a timeout.
  await writeFile(join(root, 'etc/resolv.conf'), `nameserver ${options.gateway}\n`);
  await mkdir(join(root, 'etc/systemd/network'), { recursive: true });
  await writeFile(join(root, 'etc/systemd/network/10-host0.network'), networkFile(options));
  await trust(root, options.authority);
  if (options.images) {
    // Each start of k3s copies them to where it imports images from (base/place-images.sh).
    await runCommand(['cp', '--recursive', await testImages(), join(root, 'opt/test-images')]);
  }
}

/** What update-ca-certificates(8) would do, without the seconds that it takes. */
async function trust(root: string, authority: string): Promise<void> {
  await writeFile(join(root, 'usr/local/share/ca-certificates/test.crt'), authority);
  await writeFile(join(root, 'etc/ssl/certs/test.pem'), authority);
  await appendFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), authority);
}

function hostsFile(options: MachineFilesOptions): string {
  const entries = Object.entries(options.hosts).map(([name, address]) => `${address} ${name}`);
  const own = `${options.address} ${options.hostname}`;
  return `${['127.0.0.1 localhost', '::1 localhost', own, ...entries].join('\n')}\n`;
}

function networkFile(options: MachineFilesOptions): string {
  return `[Match]
Name=host0

[Network]
Address=${options.address}/${PREFIX_LENGTH}
Gateway=${options.gateway}
LinkLocalAddressing=no
`;
}
