/** What is done to the network of a machine. Each gives what takes it back. */
import { runCommand } from '../../vm/host-command.ts';
import type { Machine } from '../../vm/machine.ts';

export type TakeBack = () => Promise<void>;

/** Our table of nftables in the machine, beside those of Kubernetes. */
const TABLE = 'inet chaos';
/** The machine's side of its link to the bridge. */
const INTERFACE = 'host0';
/** What a shaped link takes at once, and how long it queues. */
const SHAPE = ['burst', '4kb', 'latency', '400ms'];

/** Packets from and to an address are dropped where `match` holds: `numgen random mod 100 < 5`. */
export async function dropPackets(
  machine: Machine,
  peer: string,
  match: { readonly incoming: string; readonly outgoing: string },
): Promise<TakeBack> {
  const rules = `table ${TABLE} {
    chain incoming {
      type filter hook input priority -300; policy accept;
      ip saddr ${peer} ${match.incoming} drop
    }
    chain outgoing {
      type filter hook output priority -300; policy accept;
      ip daddr ${peer} ${match.outgoing} drop
    }
  }\n`;
  await machine.exec(['nft', '-f', '-'], { stdin: rules });
  return async () => {
    await machine.exec(['nft', 'delete', 'table', ...TABLE.split(' ')]);
  };
}

/** So many of a hundred packets are lost, in each direction. */
export function losePackets(machine: Machine, peer: string, percent: number): Promise<TakeBack> {
  const match = `numgen random mod 100 < ${percent}`;
  return dropPackets(machine, peer, { incoming: match, outgoing: match });
}

/** Nothing passes, and nobody is told: no RST, no ICMP. */
export function blackHole(machine: Machine, peer: string): Promise<TakeBack> {
  return dropPackets(machine, peer, { incoming: '', outgoing: '' });
}

/** As a black hole, for the connections that there are now; new ones work. */
export async function deadConnections(
  machine: Machine,
  peer: string,
  port: number,
): Promise<TakeBack> {
  const { stdout } = await machine.exec(['ss', '-Htn', 'dst', `${peer}:${port}`]);
  const ports = stdout.split('\n').flatMap((line) => /^ESTAB\s.*?:(\d+)\s/.exec(line)?.[1] ?? []);
  if (ports.length === 0) {
    throw new Error(`There is no connection to ${peer}:${port}: ${stdout}`);
  }
  const set = `{ ${ports.join(', ')} }`;
  return await dropPackets(machine, peer, {
    incoming: `tcp dport ${set}`,
    outgoing: `tcp sport ${set}`,
  });
}

/** @param rate as tc(8) takes it: `256kbit`; for each direction */
export async function limitRate(machine: Machine, rate: string): Promise<TakeBack> {
  const index = (await machine.readFile(`/sys/class/net/${INTERFACE}/iflink`)).trim();
  const links = (await runCommand(['ip', '-o', 'link', 'show'])).stdout;
  const outside = new RegExp(`^${index}: ([^@:]+)`, 'm').exec(links)?.[1];
  if (outside === undefined) {
    throw new Error(`There is no link ${index} on the host`);
  }
  const shape = ['root', 'tbf', 'rate', rate, ...SHAPE];
  await machine.exec(['tc', 'qdisc', 'replace', 'dev', INTERFACE, ...shape]);
  await runCommand(['tc', 'qdisc', 'replace', 'dev', outside, ...shape]);
  return async () => {
    await machine.exec(['tc', 'qdisc', 'delete', 'dev', INTERFACE, 'root']);
    await runCommand(['tc', 'qdisc', 'delete', 'dev', outside, 'root']);
  };
}

/** What a name stands for on the machine from now on; undefined: nothing. */
export async function resolveTo(
  machine: Machine,
  name: string,
  address: string | undefined,
): Promise<void> {
  const lines = (await machine.readFile('/etc/hosts')).split('\n').filter((line) => line !== '');
  const others = lines.filter((line) => !line.endsWith(` ${name}`));
  const own = address === undefined ? [] : [`${address} ${name}`];
  await machine.writeFile('/etc/hosts', `${[...others, ...own].join('\n')}\n`);
}

/** An address on the host beside its own, gone with the bridge. */
export async function addHostAddress(own: string, address: string): Promise<void> {
  const { stdout } = await runCommand(['ip', '-o', 'addr', 'show', 'to', own]);
  const bridge = /^\d+: (\S+)/.exec(stdout)?.[1];
  if (bridge === undefined) {
    throw new Error(`No link of this host has ${own}`);
  }
  await runCommand(['ip', 'addr', 'add', `${address}/32`, 'dev', bridge]);
}
