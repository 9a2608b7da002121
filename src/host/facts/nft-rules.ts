/**
 * Whether rules of nftables let a new connection in (libnftables-json(5)). As a rule may ask for
 * anything, what is not understood counts in favour of passing: a warning has to be right.
 */
import { type IpRange, ipRange, overlaps } from '../../core/ip-range.ts';

/** Of chains that lead to chains. */
const JUMPS_MAX = 8;
/** Rules that are looked at for one packet: a chain counts as often as rules lead to it. About 15 ms. */
const RULES_MAX = 20_000;

export interface Packet {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Where it comes from: pods, or undefined for any other machine. */
  readonly source: IpRange | undefined;
}

export interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** `input`, `forward`; undefined where nothing but other chains leads to it. */
  readonly hook: string | undefined;
  readonly policy: string | undefined;
}

export interface NftRuleset {
  readonly chains: readonly NftChain[];
  /** The expressions of each rule, in order, by `family table chain`. */
  readonly rules: ReadonlyMap<string, readonly (readonly unknown[])[]>;
}

/** @param text of `nft --json list …`. @returns undefined when it is no such text */
export function parseNft(text: string): NftRuleset | undefined {
  let rows: unknown;
  try {
    rows = (JSON.parse(text) as { readonly nftables?: unknown }).nftables;
  } catch {
    return undefined;
  }
  if (!Array.isArray(rows)) {
    return undefined;
  }
  const chains: NftChain[] = [];
  const rules = new Map<string, (readonly unknown[])[]>();
  for (const row of rows as {
    readonly chain?: NftChain & { readonly prio?: number };
    readonly rule?: NftRule;
  }[]) {
    if (row.chain !== undefined) {
      const { family, table, name, hook, policy } = row.chain;
      chains.push({ family, table, name, hook, policy });
    }
    if (row.rule !== undefined) {
      const { family, table, chain, expr } = row.rule;
      const key = keyOf({ family, table, name: chain });
      const ofChain = rules.get(key) ?? [];
      ofChain.push(expr);
      rules.set(key, ofChain);
    }
  }
  return { chains, rules };
}

interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly unknown[];
}

function keyOf({ family, table, name }: Pick<NftChain, 'family' | 'table' | 'name'>): string {
  return `${family} ${table} ${name}`;
}

/** Whether the chain drops it, as far as its rules are understood. */
export function drops(ruleset: NftRuleset, chain: NftChain, packet: Packet): boolean {
  const verdict = verdictOf(ruleset, chain, packet, { depth: 0, looks: { left: RULES_MAX } });
  return verdict === 'drop' || (verdict === undefined && chain.policy === 'drop');
}

interface Way {
  /** Chains that led here. */
  readonly depth: number;
  /** Rules that may still be looked at, on all ways together. */
  readonly looks: { left: number };
}

type Verdict = 'accept' | 'drop' | undefined;

function verdictOf(
  ruleset: NftRuleset,
  chain: Pick<NftChain, 'family' | 'table' | 'name'>,
  packet: Packet,
  { depth, looks }: Way,
): Verdict {
  if (depth > JUMPS_MAX) {
    return 'accept';
  }
  for (const expressions of ruleset.rules.get(keyOf(chain)) ?? []) {
    looks.left -= 1;
    if (looks.left < 0) {
      return 'accept';
    }
    const fit = fitOf(expressions, packet);
    const word = fit === 'no' ? undefined : verdictWord(expressions);
    if (word === undefined) {
      continue;
    }
    const verdict =
      typeof word === 'string'
        ? word
        : verdictOf(ruleset, { ...chain, name: word.target }, packet, { depth: depth + 1, looks });
    if (verdict === 'return' || (verdict === undefined && isGoto(word))) {
      return fit === 'yes' ? undefined : 'accept'; // It goes on where the chain was come from.
    }
    // Whether this rule is meant is not known: only what lets pass counts.
    if (verdict === 'accept' || (verdict === 'drop' && fit === 'yes')) {
      return verdict;
    }
  }
  return undefined;
}

/** To another chain; behind `goto` nothing of this one is asked any more. */
interface Lead {
  readonly target: string;
  readonly isGoto: boolean;
}

type VerdictWord = 'accept' | 'drop' | 'return' | Lead;

function isGoto(word: VerdictWord): boolean {
  return typeof word === 'object' && word.isGoto;
}

function verdictWord(expressions: readonly unknown[]): VerdictWord | undefined {
  for (const each of expressions as Readonly<Record<string, unknown>>[]) {
    if ('accept' in each) {
      return 'accept';
    }
    if ('drop' in each || 'reject' in each) {
      return 'drop';
    }
    if ('return' in each) {
      return 'return';
    }
    const lead = (each['jump'] ?? each['goto']) as { readonly target?: unknown } | undefined;
    if (typeof lead?.target === 'string') {
      return { target: lead.target, isGoto: 'goto' in each };
    }
  }
  return undefined;
}

type Fit = 'yes' | 'no' | 'perhaps';

function fitOf(expressions: readonly unknown[], packet: Packet): Fit {
  let fit: Fit = 'yes';
  for (const each of expressions as Readonly<Record<string, unknown>>[]) {
    const one = 'match' in each ? matchFit(each['match'] as Match, packet) : otherFit(each);
    if (one === 'no') {
      return 'no';
    }
    fit = one === 'perhaps' ? 'perhaps' : fit;
  }
  return fit;
}

/** Counters, comments and verdicts ask for nothing; `xt` is one of iptables that nft cannot show. */
function otherFit(expression: Readonly<Record<string, unknown>>): Fit {
  const asks = ['xt', 'limit', 'vmap', 'connlimit', 'ct count'];
  return Object.keys(expression).some((key) => asks.includes(key)) ? 'perhaps' : 'yes';
}

interface Match {
  readonly op?: string;
  readonly left?: {
    readonly payload?: { readonly protocol?: string; readonly field?: string };
    readonly meta?: { readonly key?: string };
    readonly ct?: { readonly key?: string };
  };
  readonly right?: unknown;
}

function matchFit({ op, left, right }: Match, packet: Packet): Fit {
  const is = (fits: boolean): Fit => (fits === (op !== '!=') ? 'yes' : 'no');
  const { payload, meta, ct } = left ?? {};
  if (payload?.field === 'dport' && payload.protocol !== undefined) {
    return payload.protocol === packet.protocol || payload.protocol === 'th'
      ? is(valuesOf(right).some((value) => holdsPort(value, packet.port)))
      : 'no';
  }
  if (payload?.field === 'saddr') {
    return packet.source === undefined ? 'perhaps' : is(holdsSource(right, packet.source));
  }
  if (ct?.key === 'state') {
    return is(valuesOf(right).includes('new'));
  }
  if (meta?.key === 'l4proto' || payload?.field === 'protocol' || payload?.field === 'nexthdr') {
    return is(valuesOf(right).includes(packet.protocol));
  }
  if (meta?.key === 'iifname' || meta?.key === 'iif') {
    return valuesOf(right).every((value) => value === 'lo') ? is(false) : 'perhaps';
  }
  return 'perhaps';
}

/** One value, or those of a set. */
function valuesOf(right: unknown): readonly unknown[] {
  const set = (right as { readonly set?: unknown } | null)?.set;
  return [set ?? right].flat();
}

function holdsPort(value: unknown, port: number): boolean {
  const range = (value as { readonly range?: readonly [number, number] } | null)?.range;
  return range === undefined ? value === port : range[0] <= port && port <= range[1];
}

function holdsSource(right: unknown, source: IpRange): boolean {
  return valuesOf(right).some((value) => {
    const prefix = (
      value as { readonly prefix?: { readonly addr: string; readonly len: number } } | null
    )?.prefix;
    const range = ipRange(prefix === undefined ? String(value) : `${prefix.addr}/${prefix.len}`);
    return range !== undefined && overlaps(range, source);
  });
}
