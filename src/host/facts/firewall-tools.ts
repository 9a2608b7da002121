/** What the firewalls with a tool of their own let through. */

/** To one port, or from one range of addresses to all. */
export interface Allowed {
  /** `tcp`, `udp`; undefined: both. */
  readonly protocol: string | undefined;
  /** From and to; undefined: all. */
  readonly ports: readonly [number, number] | undefined;
  /** In CIDR notation; undefined: anybody. */
  readonly source: string | undefined;
}

export const ALLOWS_ALL: Allowed = { protocol: undefined, ports: undefined, source: undefined };

export interface ToolFirewall {
  readonly tool: 'ufw' | 'firewalld';
  /** Of firewalld: that of the links by which other nodes come. */
  readonly zone?: string;
  readonly allowed: readonly Allowed[];
  /** All that comes from the link of the pods passes. */
  readonly podsPass: boolean;
}

/** Links to the pods of this machine and of other nodes (docs.k3s.io, "Basic Network Options"). */
export const POD_DEVICES: readonly string[] = ['cni0', 'flannel.1', 'flannel-wg', 'flannel-v6.1'];

/** @param text `6443`, or with the separator: `2379-2380` */
export function portsOf(text: string, separator: string): readonly [number, number] {
  const [first = '', last = first] = text.split(separator);
  return [Number(first), Number(last)];
}
