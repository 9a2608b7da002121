import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** State LISTEN in /proc/net/tcp (proc(5)). */
const LISTEN = '0A';
const PROC_NET_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Listeners {
  /** TCP ports on which something listens, on any address. */
  readonly ports: ReadonlySet<number>;
  /** Who does: `nginx (pid 812)`, or `an unknown process`. */
  holderOf(port: number): Promise<string>;
}

export const listeners: Fact<Listeners> = {
  id: 'listeners',
  read: async ({ files }) => {
    const inodeByPort = new Map<number, string>();
    for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
      const text = (await files.readText(table, PROC_NET_LIMIT_BYTES)) ?? '';
      for (const line of text.split('\n').slice(1)) {
        const fields = line.trim().split(/\s+/);
        if (fields[3] === LISTEN) {
          inodeByPort.set(Number.parseInt(fields[1]?.split(':')[1] ?? '', 16), fields[9] ?? '');
        }
      }
    }
    return {
      ports: new Set(inodeByPort.keys()),
      holderOf: (port) => holderOf(files, inodeByPort.get(port) ?? ''),
    };
  },
};

/** The process that has the socket open: all of them are looked through, so only when it is asked for. */
async function holderOf(files: Files, inode: string): Promise<string> {
  const processes = (await files.list('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    for (const descriptor of await files.list(`/proc/${pid}/fd`)) {
      if ((await files.readLink(`/proc/${pid}/fd/${descriptor}`)) === `socket:[${inode}]`) {
        const name = (await files.readText(`/proc/${pid}/comm`))?.trim() ?? 'a process';
        return `${name} (pid ${pid})`;
      }
    }
  }
  return 'an unknown process';
}
