/** Rules of the firewalls that have a tool of their own, as that tool and the inventory call them. */
import type { IpRange } from '../../core/ip-range.ts';
import type { InventoryEntry } from '../../protocol/files/host-state.ts';
import type { NodePort } from '../facts/node-ports.ts';

/**
 * An entry of the inventory. Its name is what the tool is given: of ufw `allow from 10.42.0.0/16`, of
 * firewalld `zone=trusted source=10.42.0.0/16`.
 */
export interface FirewallRule extends InventoryEntry {
  readonly kind: 'ufw-rule' | 'firewalld-rule';
}

/** As `ufw show added` shows it, which finds it again. @param to undefined: all ports */
export function ufwRule({ text }: IpRange, to: NodePort | undefined): FirewallRule {
  const port = to === undefined ? '' : ` to any port ${portRange(to, ':')} proto ${to.protocol}`;
  return { kind: 'ufw-rule', name: `allow from ${text}${port}` };
}

/** Packets from there are trusted, whatever they want. */
export function trustedSource({ text }: IpRange): FirewallRule {
  return { kind: 'firewalld-rule', name: `zone=trusted source=${text}` };
}

export function firewalldRule(zone: string, from: IpRange, to: NodePort): FirewallRule {
  const words = [
    ...['rule', `family="ipv${from.version}"`, `source address="${from.text}"`],
    `port port="${portRange(to, '-')}" protocol="${to.protocol}" accept`,
  ];
  return { kind: 'firewalld-rule', name: `zone=${zone} rich-rule=${words.join(' ')}` };
}

export function portRange(
  { first, last }: Pick<NodePort, 'first' | 'last'>,
  separator: string,
): string {
  return first === last ? String(first) : `${first}${separator}${last}`;
}

/** The same rules as a person types them. firewalld takes up what is to last when it is loaded anew. */
export function commandsFor(rules: readonly FirewallRule[]): readonly string[] {
  return withReload(rules, rules.map(commandOf));
}

/** The same where another rule keeps out what they let in: they are asked before it (ufw(8), firewalld.richlanguage(5)). */
export function commandsBefore(rules: readonly FirewallRule[]): readonly string[] {
  const lines = rules
    .map(commandOf)
    .map((line) => line.replace(/^sudo ufw /, '$&prepend ').replace("'rule ", '$&priority="-1" '));
  return withReload(rules, lines);
}

function withReload(rules: readonly FirewallRule[], lines: readonly string[]): readonly string[] {
  return rules.some(({ kind }) => kind === 'firewalld-rule')
    ? [...lines, 'sudo firewall-cmd --reload']
    : lines;
}

function commandOf(rule: FirewallRule): string {
  if (rule.kind === 'ufw-rule') {
    return `sudo ufw ${rule.name}`;
  }
  const { zone, what, value } = firewalldWords(rule);
  const given = value.includes(' ') ? `'${value}'` : value;
  return `sudo firewall-cmd --permanent --zone=${zone} --add-${what}=${given}`;
}

/** The parts of a rule of firewalld. */
export function firewalldWords({ name }: FirewallRule): {
  readonly zone: string;
  readonly what: string;
  readonly value: string;
} {
  const [, zone = '', what = '', value = ''] =
    /^zone=(\S+) (source|rich-rule)=(.+)$/.exec(name) ?? [];
  return { zone, what, value };
}
