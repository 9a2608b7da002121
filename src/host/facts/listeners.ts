import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** State LISTEN in /proc/net/tcp, and that of a UDP socket that is nobody's peer (proc_pid_net(5)). */
const WAITING = { tcp: '0A', udp: '07' } as const;
/**
 * A busy machine has hundreds of thousands of connections. The kernel tells those that listen first.
 */
const TABLE_READ_BYTES = 4 * 1024 * 1024;

export type Protocol = keyof typeof WAITING;

/** Who has a port open; what is not known is undefined. */
export interface Holder {
  readonly pid: number | undefined;
  /** `nginx` */
  readonly program: string | undefined;
  /** `nginx.service` */
  readonly unit: string | undefined;
}

export interface Listeners {
  /** Whether something waits at this port, on any address. */
  isTaken(protocol: Protocol, port: number): boolean;
  /** All processes are looked through, so only when it is asked for. Who is not root sees only his own. */
  holderOf(protocol: Protocol, port: number): Promise<Holder>;
}

export const listeners: Fact<Listeners> = {
  id: 'listeners',
  read: async ({ files }) => {
    const tables = {
      tcp: await socketsByPort(files, 'tcp'),
      udp: await socketsByPort(files, 'udp'),
    };
    return {
      isTaken: (protocol, port) => tables[protocol].has(port),
      holderOf: (protocol, port) => holderOf(files, tables[protocol].get(port) ?? ''),
    };
  },
};

/** The number of the socket (its inode), by port. */
async function socketsByPort(
  files: Files,
  protocol: Protocol,
): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (const table of [`/proc/net/${protocol}`, `/proc/net/${protocol}6`]) {
    const text = (await files.readStart(table, TABLE_READ_BYTES)) ?? '';
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === WAITING[protocol]) {
        found.set(Number.parseInt(fields[1]?.split(':')[1] ?? '', 16), fields[9] ?? '');
      }
    }
  }
  return found;
}

async function holderOf(files: Files, inode: string): Promise<Holder> {
  const processes = (await files.list('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    if (await hasOpen(files, pid, inode)) {
      const program = (await files.readText(`/proc/${pid}/comm`))?.trim();
      const groups = await files.readText(`/proc/${pid}/cgroup`);
      return { pid: Number(pid), program, unit: unitIn(groups ?? '') };
    }
  }
  return { pid: undefined, program: undefined, unit: undefined };
}

async function hasOpen(files: Files, pid: string, inode: string): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  // Of others' processes only root sees the files; and one that has just ended has none.
  for (const descriptor of await files.list(directory).catch(() => [])) {
    const target = await files.readLink(`${directory}/${descriptor}`).catch(() => undefined);
    if (target === `socket:[${inode}]`) {
      return true;
    }
  }
  return false;
}

/**
 * Of lines as `0::/system.slice/nginx.service` (cgroups(7)). A container may call its groups anything, and
 * a person types the name into a shell: only plain ones count.
 */
function unitIn(groups: string): string | undefined {
  const names = groups.split(/[\n/]/);
  return names.find((name) => /^[\w.:@-]+\.service$/.test(name));
}
