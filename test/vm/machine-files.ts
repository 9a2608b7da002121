/** Makes the file tree of a new machine: a copy of a base system with a name and an address. */

import { appendFile, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseName, baseSystem } from './base-system.ts';
import { runCommand } from './host-command.ts';
import { testImages } from './images.ts';
import { IPV6_PREFIX_LENGTH, PREFIX_LENGTH } from './network.ts';

export interface OwnFilesOptions {
  readonly root: string;
  readonly hostname: string;
  /** One of IPv4, one of IPv6, or both, each with the gateway there. */
  readonly addresses: readonly { readonly address: string; readonly gateway: string }[];
  /** Name to address, for /etc/hosts. */
  readonly hosts: Readonly<Record<string, string>>;
  /** What its firmware calls it; undefined: it has none, as usual in containers. */
  readonly hardwareNumber: string | undefined;
}

export interface MachineFilesOptions extends OwnFilesOptions {
  readonly base: BaseName;
  readonly images: boolean;
  /** PEM of an authority that the system trusts beside the public ones. */
  readonly authority: string;
}

export async function makeMachineFiles(options: MachineFilesOptions): Promise<void> {
  const { root } = options;
  await mkdir(root, { recursive: true });
  // A copy (0.4 s), not an overlay: the machine's containerd makes overlays, which cannot be nested.
  const base = await baseSystem(options.base);
  await runCommand(['cp', '--archive', '--reflink=auto', `${base}/.`, root]);
  // Given here, because without one systemd would treat the boot as the first one ever.
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');
  await writeFile(join(root, 'etc/machine-id'), `${id}\n`);
  // Nothing answers there, so a lookup fails at once instead of after a timeout.
  const resolvers = options.addresses.map(({ gateway }) => `nameserver ${gateway}\n`);
  await writeFile(join(root, 'etc/resolv.conf'), resolvers.join(''));
  await mkdir(join(root, 'etc/systemd/network'), { recursive: true });
  await writeOwnFiles(options);
  await trust(root, options.authority);
  if (options.images) {
    // Each start of k3s copies them to where it imports images from (base/place-images.sh).
    await runCommand(['cp', '--recursive', await testImages(), join(root, 'opt/test-images')]);
  }
}

/** What the surroundings of a machine tell it, and so differs on a copy of its disk. */
export async function writeOwnFiles(options: OwnFilesOptions): Promise<void> {
  const { root, hardwareNumber } = options;
  await writeFile(join(root, 'etc/hostname'), `${options.hostname}\n`);
  await writeFile(join(root, 'etc/hosts'), hostsFile(options));
  await writeFile(join(root, 'etc/systemd/network/10-host0.network'), networkFile(options));
  if (hardwareNumber !== undefined) {
    await writeFile(join(root, 'etc/hardware-number'), `${hardwareNumber}\n`);
    for (const [name, directory] of [
      ['hardware-number.sh', 'usr/local/lib/test-machine'],
      ['hardware-number.conf', 'usr/lib/systemd/system/test-machine.service.d'],
    ] as const) {
      await mkdir(join(root, directory), { recursive: true });
      await copyFile(join(import.meta.dir, 'base', name), join(root, directory, name));
    }
  }
}

/** What update-ca-certificates(8) would do, without the seconds that it takes. */
async function trust(root: string, authority: string): Promise<void> {
  await writeFile(join(root, 'usr/local/share/ca-certificates/test.crt'), authority);
  await writeFile(join(root, 'etc/ssl/certs/test.pem'), authority);
  await appendFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), authority);
}

function hostsFile(options: OwnFilesOptions): string {
  const entries = Object.entries(options.hosts).map(([name, address]) => `${address} ${name}`);
  const own = options.addresses.map(({ address }) => `${address} ${options.hostname}`);
  return `${['127.0.0.1 localhost', '::1 localhost', ...own, ...entries].join('\n')}\n`;
}

/** systemd.network(5). Nobody looks for doubles of an address of IPv6, which would take a second. */
function networkFile({ addresses }: OwnFilesOptions): string {
  const has6 = addresses.some(({ address }) => address.includes(':'));
  const parts = addresses.map(({ address, gateway }) => {
    const length = address.includes(':') ? IPV6_PREFIX_LENGTH : PREFIX_LENGTH;
    return `
[Address]
Address=${address}/${length}
DuplicateAddressDetection=none

[Route]
Gateway=${gateway}
`;
  });
  return `[Match]
Name=host0

[Network]
LinkLocalAddressing=${has6 ? 'ipv6' : 'no'}
IPv6AcceptRA=no
${parts.join('')}`;
}
