/** What the firewalls with a tool of their own let through: ufw and firewalld. */
import type { Exec } from '../../core/ports.ts';
import { outputOf } from './tool-output.ts';

/** To one port, or from one range of addresses to all. */
export interface Allowed {
  /** `tcp`, `udp`; undefined: both. */
  readonly protocol: string | undefined;
  /** From and to; undefined: all. */
  readonly ports: readonly [number, number] | undefined;
  /** In CIDR notation; undefined: anybody. */
  readonly source: string | undefined;
}

export interface ToolFirewall {
  readonly tool: 'ufw' | 'firewalld';
  readonly allowed: readonly Allowed[];
}

interface Deps {
  readonly exec: Exec;
  readonly signal: AbortSignal;
}

/** @returns undefined where it is not there, or off */
export async function readUfw(deps: Deps): Promise<ToolFirewall | undefined> {
  const status = await outputOf(deps, ['ufw', 'status', 'verbose']);
  return status === undefined || !/^Status: active/m.test(status)
    ? undefined
    : { tool: 'ufw', allowed: parseUfw(status) };
}

/** @returns undefined where it is not there, or off */
export async function readFirewalld(deps: Deps): Promise<ToolFirewall | undefined> {
  if ((await outputOf(deps, ['firewall-cmd', '--state'])) === undefined) {
    return undefined;
  }
  const [zone, trusted] = await Promise.all([
    outputOf(deps, ['firewall-cmd', '--list-all']),
    outputOf(deps, ['firewall-cmd', '--zone=trusted', '--list-sources']),
  ]);
  return { tool: 'firewalld', allowed: parseFirewalld(zone ?? '', trusted ?? '') };
}

/** Lines such as `2379:2380/tcp on eth0  ALLOW IN  10.0.0.0/8` (ufw(8)). */
function parseUfw(status: string): readonly Allowed[] {
  if (/^Default: allow \(incoming\)/m.test(status)) {
    return [{ protocol: undefined, ports: undefined, source: undefined }];
  }
  return status.split('\n').flatMap((line): readonly Allowed[] => {
    const row = /^(\S+)(?: \(v6\))?(?: on \S+)?\s+(?:ALLOW|LIMIT)(?: IN)?\s+(\S+)/.exec(line);
    const [, to = '', from = ''] = row ?? [];
    if (row === null || line.includes('(v6)')) {
      return []; // Rules without addresses stand there once for each version of IP.
    }
    const source = from === 'Anywhere' ? undefined : from;
    const [, ports = '', protocol] = /^([\d:,]+)(?:\/(tcp|udp))?$/.exec(to) ?? [];
    if (ports === '') {
      return to === 'Anywhere' ? [{ protocol: undefined, ports: undefined, source }] : [];
    }
    return ports.split(',').map((part) => ({ protocol, ports: portsOf(part, ':'), source }));
  });
}

/** Lines such as `  ports: 6443/tcp 2379-2380/tcp` (firewall-cmd(1)). */
function parseFirewalld(zone: string, trusted: string): readonly Allowed[] {
  const lines = zone.split('\n').map((line) => line.trim().split(/\s+/));
  const words = (name: string) => lines.find(([first]) => first === name)?.slice(1) ?? [];
  const ports = words('ports:').map((word) => {
    const [range = '', protocol] = word.split('/');
    return { protocol, ports: portsOf(range, '-'), source: undefined };
  });
  const sources = trusted.split(/\s+/).filter((source) => source !== '');
  return [
    ...ports,
    ...sources.map((source) => ({ protocol: undefined, ports: undefined, source })),
    ...(words('target:').includes('ACCEPT')
      ? [{ protocol: undefined, ports: undefined, source: undefined }]
      : []),
  ];
}

function portsOf(text: string, separator: string): readonly [number, number] {
  const [first = '', last = first] = text.split(separator);
  return [Number(first), Number(last)];
}
