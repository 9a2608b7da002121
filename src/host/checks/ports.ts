import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

/** State LISTEN in /proc/net/tcp (proc(5)). */
const LISTEN = '0A';
const PROC_NET_LIMIT_BYTES = 16 * 1024 * 1024;

export interface PortHolder {
  readonly port: number;
  /** `nginx (pid 812)`, or `an unknown process`. */
  readonly holder: string;
}

/** @throws AgentError PORT_IN_USE naming every busy port and who holds it */
export async function checkPortsFree(
  deps: { readonly files: Files },
  ports: readonly number[],
): Promise<void> {
  const busy = await busyPorts(deps.files, ports);
  if (busy.length === 0) {
    return;
  }
  const list = busy.map(({ port, holder }) => `${port} by ${holder}`).join(', ');
  throw new AgentError('PORT_IN_USE', `These ports are taken: ${list}`, {
    hint: 'Stop the program that holds them, or move it to another port',
    details: { ports: busy },
  });
}

async function busyPorts(files: Files, wanted: readonly number[]): Promise<readonly PortHolder[]> {
  const inodeByPort = new Map<number, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = (await files.readText(table, PROC_NET_LIMIT_BYTES)) ?? '';
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (fields[3] === LISTEN && wanted.includes(port)) {
        inodeByPort.set(port, fields[9] ?? '');
      }
    }
  }
  const busy: PortHolder[] = [];
  for (const [port, inode] of [...inodeByPort].sort(([a], [b]) => a - b)) {
    busy.push({ port, holder: await holderOf(files, inode) });
  }
  return busy;
}

/** The process that has the socket open: looked for only when a port is taken. */
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
