import type { Exec } from '../../core/ports.ts';
import {
  ALLOWS_ALL,
  type Allowed,
  POD_DEVICES,
  portsOf,
  type ToolFirewall,
} from './firewall-tools.ts';
import { answerOf } from './tool-output.ts';

interface Deps {
  readonly exec: Exec;
  readonly signal: AbortSignal;
}

/** A line of `ufw status verbose`: to, whether it is let in, from. */
interface Row {
  readonly to: string;
  readonly device: string | undefined;
  readonly from: string;
}

/** @returns undefined where it is not there, or off */
export async function readUfw(deps: Deps): Promise<ToolFirewall | undefined> {
  const status = await answerOf(deps, ['ufw', 'status', 'verbose']);
  if (status === undefined || !/^Status: active/m.test(status)) {
    return undefined;
  }
  const rows = status.split('\n').flatMap((line) => rowOf(line) ?? []);
  const isOfPods = ({ device = '' }: Row) => POD_DEVICES.includes(device);
  const letsAllIn = /^Default: allow \(incoming\)/m.test(status);
  return {
    tool: 'ufw',
    allowed: letsAllIn ? [ALLOWS_ALL] : rows.filter((row) => !isOfPods(row)).flatMap(allowedBy),
    podsPass: rows.some((row) => isOfPods(row) && row.to === 'Anywhere'),
  };
}

/**
 * Lines such as `2379:2380/tcp on eth0  ALLOW IN  10.0.0.0/8` (ufw(8)). Behind a name of an
 * application its ports stand first: `6443/tcp (k3s)`.
 */
function rowOf(line: string): Row | undefined {
  const verdict = / (?:ALLOW|LIMIT)(?: (IN|OUT|FWD))? /.exec(line);
  if (verdict === null || (verdict[1] ?? 'IN') !== 'IN') {
    return undefined;
  }
  const left = line.slice(0, verdict.index).trim();
  const right = line.slice(verdict.index + verdict[0].length).trim();
  const to = left.replaceAll(/ \([^)]*\)| on \S+/g, '');
  const device = / on (\S+)/.exec(left)?.[1];
  // Before the port may stand an address of this machine, behind the source its port.
  return { to: to.split(' ').at(-1) ?? '', device, from: right.split(' ')[0] ?? '' };
}

function allowedBy({ to, from }: Row): readonly Allowed[] {
  const source = from === 'Anywhere' ? undefined : from;
  const [, ports = '', protocol] = /^([\d:,]+)(?:\/(tcp|udp))?$/.exec(to) ?? [];
  if (ports === '') {
    return to === 'Anywhere' ? [{ ...ALLOWS_ALL, source }] : [];
  }
  return ports.split(',').map((part) => ({ protocol, ports: portsOf(part, ':'), source }));
}
