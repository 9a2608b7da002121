/** A lab: the machines of one test file, their network, and their removal. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificates, type TestCertificates } from '../support/tls.ts';
import type { BaseName } from './base-system.ts';
import { groupPrefix, whileFrozen } from './cgroups.ts';
import { runCommand } from './host-command.ts';
import { claimSlot, clearSlot, slotDirectory } from './leftovers.ts';
import { createMachine, type Machine } from './machine.ts';
import { makeMachineFiles, type OwnFilesOptions, writeOwnFiles } from './machine-files.ts';
import {
  bridgeName,
  createBridge,
  hostAddress,
  hostAddress6,
  machineAddress,
  machineAddress6,
  secondHostAddress,
} from './network.ts';
import { installHostPackages } from './packages.ts';

const COLLECTED_JOURNAL_LINES = 20_000;

/** Where a user's machine finds everything when nothing else is said. */
export const PUBLIC_NAMES: readonly string[] = [
  ...['get.pipeops.dev', 'api.pipeops.io', 'get.k3s.io', 'update.k3s.io', 'github.com'],
];

export interface MachineOptions {
  /** Its hostname: letters, digits and dashes; once per lab. */
  readonly name: string;
  readonly base: BaseName;
  /** Which addresses it has. Default: IPv4 alone. */
  readonly ip?: '4' | '6' | '4+6';
  /** Gives k3s the images of images.ts, the sandbox image included. Default false. */
  readonly images?: boolean;
  /** Further names in /etc/hosts, each with its address: there is no DNS. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Directories that are disks of their own, empty at each boot: path to size (`64M`). */
  readonly smallDisks?: Readonly<Record<string, string>>;
  /** Gives it a number of its firmware (product_uuid), which containers have not. Default false. */
  readonly hasHardwareNumber?: boolean;
}

export interface CopyOptions {
  /** Its name in the lab. */
  readonly name: string;
  /** Default: what stands on the disk. */
  readonly hostname?: string;
}

export interface Lab extends AsyncDisposable {
  /** The host's address, as machines see it: listen there for what they shall reach. */
  readonly hostAddress: string;
  /** Another one. */
  readonly secondHostAddress: string;
  /** The one of IPv6, for machines that have IPv6. */
  readonly hostAddress6: string;
  /**
   * Certificate and key for the host's addresses and PUBLIC_NAMES, of an authority that the system of
   * every machine trusts: for what stands in the internet in life.
   */
  readonly internet: TestCertificates;
  /** In the order of their boot calls, also those that are off. */
  readonly machines: readonly Machine[];
  /** Makes and boots a machine: about 3 s. Several at once are fine. */
  boot(options: MachineOptions): Promise<Machine>;
  /**
   * Boots a copy of a machine's disk, taken in one moment if that machine runs. Address and number of the
   * hardware are its own; everything else is what stands on the disk.
   */
  copy(of: Machine, options: CopyOptions): Promise<Machine>;
  /** Writes journals, consoles, units and networks of all machines to `directory`. */
  collect(directory: string): Promise<void>;
  /** Runs `work`; when it throws, collects first and names the directory in the error. */
  collectOnFailure<T>(directory: string, work: () => Promise<T>): Promise<T>;
}

/**
 * Opens a lab on the first free slot of this host; several test runs may have one each. Removes
 * what killed runs left. Disposing ends its machines and removes everything.
 */
export async function openLab(options: { readonly name: string }): Promise<Lab> {
  await installHostPackages();
  const { slot, lock } = await claimSlot();
  await mkdir(slotDirectory(slot), { recursive: true }); // first: it marks a slot to clear
  await createBridge(slot);
  const internet = await makeCertificates([
    ...[hostAddress(slot), secondHostAddress(slot), hostAddress6(slot)],
    ...PUBLIC_NAMES,
  ]);
  const machines: Machine[] = [];
  const made = new Map<Machine, MachineOptions>();
  let count = 0;

  /** @param hostname as it is on the disk */
  const add = async (
    wanted: MachineOptions,
    hostname: string,
    makeFiles: (own: OwnFilesOptions) => Promise<void>,
  ) => {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(wanted.name)) {
      throw new Error(`Cannot name a machine '${wanted.name}': it is not a hostname`);
    }
    const own = addressesOf(slot, count, wanted.ip ?? '4');
    count += 1;
    const directory = join(slotDirectory(slot), wanted.name);
    await mkdir(directory); // fails when the name is taken
    const root = join(directory, 'root');
    await makeFiles({
      root,
      hostname,
      addresses: own,
      hosts: wanted.hosts ?? {},
      hardwareNumber: wanted.hasHardwareNumber === true ? crypto.randomUUID() : undefined,
    });
    const machine = createMachine({
      name: wanted.name,
      addresses: own.map(({ address }) => address) as [string, ...string[]],
      nspawn: {
        root,
        hostname,
        group: `${groupPrefix(slot)}${wanted.name}`,
        bridge: bridgeName(slot),
        consoleFile: join(directory, 'console.log'),
        smallDisks: wanted.smallDisks ?? {},
      },
    });
    machines.push(machine);
    made.set(machine, wanted);
    await machine.start();
    return machine;
  };
  const boot = (wanted: MachineOptions) =>
    add(wanted, wanted.name, (own) => {
      const { base, images = false } = wanted;
      return makeMachineFiles({ ...own, base, images, authority: internet.ca });
    });
  const copy = async (of: Machine, { name, hostname }: CopyOptions) => {
    const original = made.get(of);
    if (original === undefined) {
      throw new Error(`Cannot copy machine '${of.name}': it is of another lab`);
    }
    const from = of.pathOnHost('/');
    const onDisk = (await readFile(join(from, 'etc/hostname'), 'utf8')).trim();
    return await add({ ...original, name }, hostname ?? onDisk, async (own) => {
      const take = () => runCommand(['cp', '--archive', '--reflink=auto', from, own.root]);
      await ((await of.isRunning()) ? whileFrozen(of.group, take) : take());
      await writeOwnFiles(own);
    });
  };

  const collect = async (directory: string) => {
    for (const machine of machines) {
      await collectMachine(machine, join(directory, machine.name));
    }
  };

  return {
    hostAddress: hostAddress(slot),
    secondHostAddress: secondHostAddress(slot),
    hostAddress6: hostAddress6(slot),
    internet,
    machines,
    boot,
    copy,
    collect,
    async collectOnFailure(directory, work) {
      try {
        return await work();
      } catch (error) {
        await collect(directory);
        throw new Error(`Lab '${options.name}' failed; its journals are in ${directory}`, {
          cause: error,
        });
      }
    },
    async [Symbol.asyncDispose]() {
      await clearSlot(slot);
      await lock.release();
    },
  };
}

/** Of a machine, each with the gateway there. */
function addressesOf(slot: number, index: number, ip: NonNullable<MachineOptions['ip']>) {
  const ipv4 = { address: machineAddress(slot, index), gateway: hostAddress(slot) };
  const ipv6 = { address: machineAddress6(slot, index), gateway: hostAddress6(slot) };
  return ip === '4' ? [ipv4] : ip === '6' ? [ipv6] : [ipv4, ipv6];
}

async function collectMachine(machine: Machine, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const sources: Readonly<Record<string, () => Promise<string>>> = {
    'journal.txt': async () => await machine.journal({ lines: COLLECTED_JOURNAL_LINES }),
    'console.txt': machine.console,
    'units.txt': async () => (await machine.exec(['systemctl', '--no-pager', '--all'])).stdout,
    'processes.txt': async () => (await machine.exec(['ps', '-ef'])).stdout,
    'network.txt': async () => (await machine.exec(['ss', '-nap'])).stdout,
  };
  for (const [file, read] of Object.entries(sources)) {
    // A machine that is off or stuck must not hide why the test failed.
    const text = await read().catch((error: unknown) => `Cannot collect this: ${error}\n`);
    await writeFile(join(directory, file), text);
  }
}
