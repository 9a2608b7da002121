import { AgentError } from '../../core/errors.ts';
import type { Fact, FactDeps } from './fact.ts';
import type { ToolFirewall } from './firewall-tools.ts';
import { readFirewalld } from './firewalld.ts';
import { type NftChain, type NftRuleset, parseNft } from './nft-rules.ts';
import { nodeNetworks } from './node-networks.ts';
import { outputOf } from './tool-output.ts';
import { readUfw } from './ufw.ts';

/** Of one table, bytes: reading it must not stop everything else. */
const TABLE_BYTES_MAX = 512 * 1024;
/** Tables that are read. */
const TABLES_MAX = 8;
/** Without nft(8) there are no rules that it would show. */
const LIST = ['nft', '--json', 'list'] as const;
const HOOKS: readonly (string | undefined)[] = ['input', 'forward'];

export interface Firewalls {
  /** Those that are on. */
  readonly tools: readonly ToolFirewall[];
  /** Rules of nobody's tool. */
  readonly nft: readonly NftRuleset[];
}

/** The firewalls of this machine; nothing of them is changed. */
export const firewalls: Fact<Firewalls> = {
  id: 'firewalls',
  read: async (deps, facts) => {
    if (deps.uid !== 0) {
      throw new AgentError('FILE_ACCESS', 'The rules of firewalls cannot be read', {
        hint: 'Use sudo',
        details: { denied: true },
      });
    }
    const { devices } = await facts(nodeNetworks);
    const [ufw, firewalld] = await Promise.all([readUfw(deps), readFirewalld(deps, devices)]);
    const tools = [...(ufw === undefined ? [] : [ufw]), ...firewalld];
    return { tools, nft: await readNft(deps, tools) };
  },
};

/** The tables that look at what comes in or passes through, without those of the tools that are on. */
async function readNft(
  deps: FactDeps,
  tools: readonly ToolFirewall[],
): Promise<readonly NftRuleset[]> {
  const chains = parseNft((await outputOf(deps, [...LIST, 'chains'])) ?? '')?.chains ?? [];
  const tables = new Set(
    chains
      .filter((chain) => HOOKS.includes(chain.hook) && !isOfTool(chain, tools))
      .map(({ family, table }) => `${family} ${table}`),
  );
  const read = await Promise.all(
    [...tables].slice(0, TABLES_MAX).map(async (name) => {
      const [family = '', table = ''] = name.split(' ');
      const text = (await outputOf(deps, [...LIST, 'table', family, table])) ?? '';
      return text.length > TABLE_BYTES_MAX ? undefined : parseNft(text);
    }),
  );
  return read.filter((ruleset) => ruleset !== undefined);
}

function isOfTool({ table, name }: NftChain, tools: readonly ToolFirewall[]): boolean {
  const has = (tool: string) => tools.some((each) => each.tool === tool);
  // ufw works through iptables, whose table it is.
  return (
    (table === 'firewalld' && has('firewalld')) ||
    (table === 'filter' && name === name.toUpperCase() && has('ufw'))
  );
}
