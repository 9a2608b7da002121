import { ipRange, isWithin } from '../../core/ip-range.ts';
import { type ClusterNetworks, clusterNetworks } from '../facts/cluster-networks.ts';
import type { ToolFirewall } from '../facts/firewall-tools.ts';
import { firewalls } from '../facts/firewalls.ts';
import { drops, type NftChain, type NftRuleset } from '../facts/nft-rules.ts';
import { type NodePort, nodePorts } from '../facts/node-ports.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';

/** What a firewall keeps out that a node needs. */
interface Closed {
  readonly where: string;
  readonly ports: readonly NodePort[];
  /** Networks of pods and Services whose packets do not get to this machine, or through it. */
  readonly networks: readonly string[];
  readonly fix: readonly string[];
}

export const firewallOpen: Check = {
  id: 'firewall',
  title: 'Firewall',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Pods reach the API and DNS through this machine, and other nodes reach it on these ports: where a firewall drops that, DNS in pods and traffic between nodes are dead.',
  remedy:
    'Type the commands that the finding has, or have the firewall off (docs.k3s.io advises that). The agent changes ' +
    'no firewall by itself. Open the port 8472 of UDP to other nodes only, never to the internet: whoever reaches ' +
    'it is inside the network of the pods. On a machine that stays alone, only pods and Services matter.',
  needs: [clusterNetworks, firewalls, nodePorts],
  run: async (facts) => {
    const networks = await facts(clusterNetworks);
    const ports = await facts(nodePorts);
    const { tools, nft } = await facts(firewalls);
    const closed = [
      ...tools.map((tool) => closedByTool(tool, networks, ports)),
      ...nft.flatMap((ruleset) => closedByRules(ruleset, networks, ports)),
    ].filter(({ ports: some, networks: any }) => some.length + any.length > 0);
    return closed.length === 0 ? undefined : finding(closed);
  },
};

function finding(closed: readonly Closed[]): Finding {
  const list = closed.map(({ where, ports, networks }) => {
    const what = [...ports.map(portWords), ...networks.map((network) => `packets from ${network}`)];
    return `${where} keeps out ${what.join(', ')}`;
  });
  const fix = closed.flatMap((each) => each.fix);
  const lasting = fix.some((line) => line.startsWith('sudo nft '))
    ? '. What nft is told lasts until the next start: write it into your rules (/etc/nftables.conf), too'
    : '';
  return {
    code: 'CHECK_FAILED',
    message: list.join('; '),
    hint: `Let that pass (the ports only from the other nodes, where it is a public network)${lasting}`,
    fix: fix.join('\n'),
    details: { closed: closed.map(({ where, ports, networks }) => ({ where, ports, networks })) },
  };
}

function portWords({ protocol, purpose, ...port }: NodePort): string {
  return `${range(port, '-')}/${protocol} (${purpose})`;
}

function range({ first, last }: Pick<NodePort, 'first' | 'last'>, separator: string): string {
  return first === last ? String(first) : `${first}${separator}${last}`;
}

function closedByTool(
  { tool, allowed }: ToolFirewall,
  { pods, services }: ClusterNetworks,
  ports: readonly NodePort[],
): Closed {
  const networks = [...pods, ...services].filter(
    (network) =>
      !allowed.some(({ ports: only, source }) => {
        const from = source === undefined ? undefined : ipRange(source);
        return only === undefined && (source === undefined || (from && isWithin(network, from)));
      }),
  );
  const shut = ports.filter(
    ({ protocol, first, last }) =>
      !allowed.some(
        (rule) =>
          (rule.protocol ?? protocol) === protocol &&
          (rule.ports === undefined
            ? rule.source === undefined || !isOfCluster(rule.source, { pods, services })
            : rule.ports[0] <= first && last <= rule.ports[1]),
      ),
  );
  const texts = networks.map(({ text }) => text);
  return {
    where: tool,
    ports: shut,
    networks: texts,
    fix: tool === 'ufw' ? ufwFix(shut, texts) : firewalldFix(shut, texts),
  };
}

/** Whether a rule for such a source is for pods and Services, and so says nothing about other nodes. */
function isOfCluster(source: string, { pods, services }: ClusterNetworks): boolean {
  const from = ipRange(source);
  return from !== undefined && [...pods, ...services].some((network) => isWithin(from, network));
}

/** docs.k3s.io, "Requirements", "Operating Systems". */
function ufwFix(ports: readonly NodePort[], networks: readonly string[]): readonly string[] {
  return [
    ...networks.map((network) => `sudo ufw allow from ${network} to any`),
    ...ports.map((port) => `sudo ufw allow ${range(port, ':')}/${port.protocol}`),
  ];
}

function firewalldFix(ports: readonly NodePort[], networks: readonly string[]): readonly string[] {
  return [
    ...networks.map(
      (network) => `sudo firewall-cmd --permanent --zone=trusted --add-source=${network}`,
    ),
    ...ports.map(
      (port) => `sudo firewall-cmd --permanent --add-port=${range(port, '-')}/${port.protocol}`,
    ),
    'sudo firewall-cmd --reload',
  ];
}

function closedByRules(
  ruleset: NftRuleset,
  networks: ClusterNetworks,
  ports: readonly NodePort[],
): readonly Closed[] {
  return ruleset.chains.flatMap((chain) => {
    switch (chain.hook) {
      case 'input':
        return closedAtInput(ruleset, chain, networks, ports);
      case 'forward':
        return closedAtForward(ruleset, chain, networks);
      default:
        return [];
    }
  });
}

/** Pods ask the API, the port of which Service addresses lead to, on this machine. */
function closedAtInput(
  ruleset: NftRuleset,
  chain: NftChain,
  { pods }: ClusterNetworks,
  ports: readonly NodePort[],
): readonly Closed[] {
  const shut = ports.filter(({ protocol, first, last }) =>
    [first, last].some((port) => drops(ruleset, chain, { protocol, port, source: undefined })),
  );
  const networks = pods.filter((source) =>
    drops(ruleset, chain, { protocol: 'tcp', port: 6443, source }),
  );
  const insert = insertRule(chain);
  const fix = [
    ...networks.map(
      ({ text, version }) => `${insert} ${version === 4 ? 'ip' : 'ip6'} saddr ${text} accept`,
    ),
    ...shut.map((port) => `${insert} ${port.protocol} dport ${range(port, '-')} accept`),
  ];
  return [{ where: placeOf(chain), ports: shut, networks: networks.map(({ text }) => text), fix }];
}

/** What passes between pods goes through this machine. */
function closedAtForward(
  ruleset: NftRuleset,
  chain: NftChain,
  { pods }: ClusterNetworks,
): readonly Closed[] {
  const networks = pods.filter((source) =>
    drops(ruleset, chain, { protocol: 'tcp', port: 443, source }),
  );
  const insert = insertRule(chain);
  const fix = networks.flatMap(({ text, version }) => {
    const ip = version === 4 ? 'ip' : 'ip6';
    return [`${insert} ${ip} saddr ${text} accept`, `${insert} ${ip} daddr ${text} accept`];
  });
  return [{ where: placeOf(chain), ports: [], networks: networks.map(({ text }) => text), fix }];
}

function placeOf({ family, table, name }: NftChain): string {
  return `the chain ${name} of nftables' table ${family} ${table}`;
}

/** At the beginning: behind a rule that drops it would never be asked. */
function insertRule({ family, table, name }: NftChain): string {
  return `sudo nft insert rule ${family} ${table} ${name}`;
}
