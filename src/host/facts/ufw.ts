import type { Exec } from '../../core/ports.ts';
import {
  LETS_ALL,
  POD_DEVICES,
  portsOf,
  type ToolFirewall,
  type ToolRule,
} from './firewall-tools.ts';
import { answerOf } from './tool-output.ts';

interface Deps {
  readonly exec: Exec;
  readonly signal: AbortSignal;
}

/** A line of `ufw status verbose`: to, whether it is let in, from. */
interface Row {
  readonly lets: boolean;
  readonly to: string;
  readonly device: string | undefined;
  /** In CIDR notation; undefined: anybody. */
  readonly from: string | undefined;
  /** It asks for more than that: an address of this machine, a port of the sender. */
  readonly isNarrower: boolean;
}

/** @returns undefined where it is not there, or off */
export async function readUfw(deps: Deps): Promise<ToolFirewall | undefined> {
  const status = await answerOf(deps, ['ufw', 'status', 'verbose']);
  if (status === undefined || !/^Status: active/m.test(status)) {
    return undefined;
  }
  const rows = status.split('\n').flatMap((line) => rowOf(line) ?? []);
  const isOfPods = ({ device = '' }: Row) => POD_DEVICES.includes(device);
  const ofAll = rows.filter((row) => !isOfPods(row)).flatMap(rulesOf);
  const letsAllIn = /^Default: allow \(incoming\)/m.test(status);
  const aboutPods = rows.find(
    (row) => row.to === 'Anywhere' && (isOfPods(row) || keepsOutAll(row)),
  );
  return {
    tool: 'ufw',
    rules: letsAllIn ? [...ofAll, LETS_ALL] : ofAll,
    podsPass: aboutPods?.lets === true,
  };
}

function keepsOutAll({ lets, device, from, isNarrower }: Row): boolean {
  return !lets && device === undefined && from === undefined && !isNarrower;
}

/**
 * Lines such as `2379:2380/tcp on eth0  ALLOW IN  10.0.0.0/8` (ufw(8)). Behind a name of an
 * application its ports stand first: `6443/tcp (k3s)`.
 */
function rowOf(line: string): Row | undefined {
  const verdict = / (ALLOW|LIMIT|DENY|REJECT)(?: (IN|OUT|FWD))? /.exec(line);
  if (verdict === null || (verdict[2] ?? 'IN') !== 'IN') {
    return undefined;
  }
  const left = line.slice(0, verdict.index).trim();
  const [right = ''] = line.slice(verdict.index + verdict[0].length).split('#');
  // Before the port may stand an address of this machine, behind the source its port.
  const to = left.replaceAll(/ \([^)]*\)| on \S+/g, '').split(' ');
  const [from = '', port] = right
    .replaceAll(/ \([^)]*\)/g, '')
    .trim()
    .split(' ');
  const everybody = right.trim().startsWith('Anywhere (v6)') ? '::/0' : undefined;
  return {
    lets: verdict[1] === 'ALLOW' || verdict[1] === 'LIMIT',
    to: to.at(-1) ?? '',
    device: / on (\S+)/.exec(left)?.[1],
    from: from === 'Anywhere' ? everybody : from,
    isNarrower: to.length > 1 || port !== undefined,
  };
}

/** What lets in a part lets nodes in; what keeps out a part may not mean them. */
function rulesOf({ lets, to, device, from, isNarrower }: Row): readonly ToolRule[] {
  if (!lets && (device !== undefined || isNarrower)) {
    return [];
  }
  const rule = { ...LETS_ALL, lets, source: from };
  const [, ports = '', protocol] = /^([\d:,]+)(?:\/(tcp|udp))?$/.exec(to) ?? [];
  if (ports === '') {
    return to === 'Anywhere' ? [rule] : [];
  }
  return ports.split(',').map((part) => ({ ...rule, protocol, ports: portsOf(part, ':') }));
}
