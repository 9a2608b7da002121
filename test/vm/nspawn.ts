/** One boot of a machine: systemd-nspawn under a terminal, in the machine's cgroup. */

import { appendFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createGroup } from './cgroups.ts';

export interface NspawnOptions {
  readonly root: string;
  readonly hostname: string;
  /** Name of the cgroup and of the machine on the host. */
  readonly group: string;
  readonly bridge: string;
  /** The console is appended to this file. */
  readonly consoleFile: string;
  /** Directories that are small disks: path to size, as `mount -o size=` takes it. */
  readonly smallDisks: Readonly<Record<string, string>>;
}

export interface Nspawn {
  readonly pid: number;
  /** Settles when the machine is off: 0 after a poweroff, 133 after a reboot. */
  readonly exited: Promise<number>;
  /** The machine's systemd, as a pid of the host; undefined until it runs. */
  initPid(): Promise<number | undefined>;
}

/** Joins the cgroups named after `--`'s left side and becomes the program on its right. */
const ENTER_GROUPS = `
while [ "$1" != -- ]; do echo $$ > "$1"; shift; done
shift
exec "$@"
`;

/** Starts the machine and does not wait for anything. */
export async function startNspawn(options: NspawnOptions): Promise<Nspawn> {
  const groupFiles = await createGroup(options.group);
  const argv = ['sh', '-c', ENTER_GROUPS, 'sh', ...groupFiles, '--', ...nspawnArgv(options)];
  const child = Bun.spawn(argv, {
    // Without a terminal nspawn stops silently.
    terminal: {
      cols: 120,
      rows: 40,
      data: (_terminal, bytes) => appendFileSync(options.consoleFile, bytes),
    },
  });
  const exited = child.exited.then((code) => {
    child.terminal?.close();
    return code;
  });
  return { pid: child.pid, exited, initPid: async () => await findInit(child.pid) };
}

function nspawnArgv(options: NspawnOptions): readonly string[] {
  return [
    'systemd-nspawn',
    '--quiet',
    '--boot',
    `--directory=${options.root}`,
    `--machine=${options.group}`,
    `--hostname=${options.hostname}`,
    `--network-bridge=${options.bridge}`,
    '--keep-unit',
    '--register=no',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    // What containers in the machine need.
    '--capability=all',
    '--private-users=no',
    '--bind=/dev/kmsg',
    '--system-call-filter=add_key keyctl bpf perf_event_open',
    ...Object.entries(options.smallDisks).map(([path, size]) => `--tmpfs=${path}:size=${size}`),
    // For systemd itself. Since version 256 it refuses cgroup v1 otherwise; older ones do not know it.
    'SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1',
  ];
}

/** The systemd of a machine that any process of this host has started; undefined when it is off. */
export async function initOf(group: string): Promise<number | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (argv[0] === 'systemd-nspawn' && argv.includes(`--machine=${group}`)) {
      const init = await findInit(Number(pid));
      if (init !== undefined) {
        return init;
      }
    }
  }
  return undefined;
}

/** The child of nspawn that is process 1 of its own pid namespace. */
async function findInit(nspawnPid: number): Promise<number | undefined> {
  const path = `/proc/${nspawnPid}/task/${nspawnPid}/children`;
  const children = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  for (const pid of children.filter((child) => child !== '')) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (/^NSpid:.*\s1$/m.test(status) && /^Name:\s+systemd$/m.test(status)) {
      return Number(pid);
    }
  }
  return undefined;
}
