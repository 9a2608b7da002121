/** What the firewalls with a tool of their own let through. */
import { type IpRange, ipRange, isWithin, overlaps } from '../../core/ip-range.ts';

/** To one port, or from one range of addresses to all. */
export interface ToolRule {
  /** Else it keeps out. */
  readonly lets: boolean;
  /** `tcp`, `udp`; undefined: both. */
  readonly protocol: string | undefined;
  /** From and to; undefined: all. */
  readonly ports: readonly [number, number] | undefined;
  /**
   * In CIDR notation; undefined: anybody. Names of another kind (a set of addresses) are somebody, who is
   * not known here.
   */
  readonly source: string | undefined;
  /** It is about all but the source. */
  readonly isInverted: boolean;
}

export const LETS_ALL: ToolRule = {
  lets: true,
  protocol: undefined,
  ports: undefined,
  source: undefined,
  isInverted: false,
};

export interface ToolFirewall {
  readonly tool: 'ufw' | 'firewalld';
  /** Of firewalld: that of the links by which other nodes come. */
  readonly zone?: string;
  /** The first that fits decides; what fits none is kept out. */
  readonly rules: readonly ToolRule[];
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

/** `denied`: by a rule; one behind it that lets it in would not be asked. */
export type Passage = 'open' | 'shut' | 'denied';

/** Whether all that comes from a network passes. */
export function passageFrom(rules: readonly ToolRule[], network: IpRange): Passage {
  return passageBy(
    rules.find((rule) => {
      const isForAll = rule.ports === undefined && rule.protocol === undefined;
      return isForAll && (rule.lets ? holdsAll(rule, network) : holdsSome(rule, network));
    }),
  );
}

/** What other machines connect to, and what is known of where they are. */
export interface Entrance {
  readonly protocol: 'tcp' | 'udp';
  readonly first: number;
  readonly last: number;
  /** Networks that other nodes come from; none where that is not known. */
  readonly nodes: readonly IpRange[];
  /** Networks that none of them comes from: those of pods and Services. */
  readonly others: readonly IpRange[];
}

/** Whether other nodes come in by a port. Rules for some machines only count where they let in. */
export function passageTo(rules: readonly ToolRule[], entrance: Entrance): Passage {
  const { protocol, first, last, nodes, others } = entrance;
  return passageBy(
    rules.find((rule) => {
      const [from, to] = rule.ports ?? [first, last];
      if ((rule.protocol ?? protocol) !== protocol) {
        return false;
      }
      return rule.lets
        ? from <= first && last <= to && mayBeNodes(rule, nodes, others)
        : from <= last && first <= to && isAllNodes(rule, nodes);
    }),
  );
}

function passageBy(rule: ToolRule | undefined): Passage {
  if (rule === undefined) {
    return 'shut';
  }
  return rule.lets ? 'open' : 'denied';
}

function mayBeNodes(
  rule: ToolRule,
  nodes: readonly IpRange[],
  others: readonly IpRange[],
): boolean {
  const source = rangeOf(rule);
  if (source === undefined) {
    return true;
  }
  return rule.isInverted
    ? nodes.length === 0 || nodes.some((network) => !isWithin(network, source))
    : !others.some((network) => isWithin(source, network));
}

function isAllNodes(rule: ToolRule, nodes: readonly IpRange[]): boolean {
  return (
    rule.source === undefined ||
    (nodes.length > 0 && nodes.every((network) => holdsAll(rule, network)))
  );
}

function holdsAll(rule: ToolRule, network: IpRange): boolean {
  const source = rangeOf(rule);
  if (source === undefined) {
    return rule.source === undefined;
  }
  return rule.isInverted ? !overlaps(network, source) : isWithin(network, source);
}

function holdsSome(rule: ToolRule, network: IpRange): boolean {
  const source = rangeOf(rule);
  if (source === undefined) {
    return rule.source === undefined;
  }
  return rule.isInverted ? !isWithin(network, source) : overlaps(network, source);
}

function rangeOf({ source }: ToolRule): IpRange | undefined {
  return source === undefined ? undefined : ipRange(source);
}
