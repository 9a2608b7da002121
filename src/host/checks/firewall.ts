import type { IpRange } from '../../core/ip-range.ts';
import { type ClusterNetworks, clusterNetworks } from '../facts/cluster-networks.ts';
import { passageFrom, passageTo, type ToolFirewall } from '../facts/firewall-tools.ts';
import { firewalls } from '../facts/firewalls.ts';
import { drops, type NftChain, type NftRuleset } from '../facts/nft-rules.ts';
import { type NodeNetworks, nodeNetworks } from '../facts/node-networks.ts';
import { type NodePort, nodePorts } from '../facts/node-ports.ts';
import {
  commandsBefore,
  commandsFor,
  type FirewallRule,
  firewalldRule,
  portRange,
  trustedSource,
  ufwRule,
} from '../firewall/rule.ts';
import { type Check, EVERYWHERE, FIX_BY_DOCTOR, type Finding } from './check.ts';

/** What a firewall keeps out that a node needs. */
interface Closed {
  readonly where: string;
  readonly ports: readonly NodePort[];
  /** Networks of pods and Services whose packets do not get to this machine, or through it. */
  readonly networks: readonly string[];
  /** What the agent may do about it. */
  readonly rules: readonly FirewallRule[];
  /** Command lines for the rest. */
  readonly byHand: readonly string[];
}

export const firewallOpen: Check = {
  id: 'firewall',
  title: 'Firewall',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Pods reach the API and DNS through this machine, and other nodes reach it on these ports: where a firewall drops that, DNS in pods and traffic between nodes are dead.',
  remedy:
    'Where ufw or firewalld keeps it out, `sudo pipeops-agent doctor --fix` opens it, after it has shown each rule and ' +
    'asked: for pods and Services, and for the ports from the private networks that this machine is in. ' +
    '`install --open-firewall` and `join --open-firewall` do so at once. `uninstall` takes the rules back. Rules that ' +
    'nobody but you may judge are ' +
    'told as command lines: those of nftables and iptables, ports on a machine with public addresses alone, and ' +
    'what has to come before a rule of ufw or firewalld that keeps it out. ' +
    'Open the port 8472 of UDP to other nodes only, never to the internet: whoever reaches ' +
    'it is inside the network of the pods. On a machine that stays alone, only pods and Services matter.',
  repair: 'firewall-rules',
  needs: [clusterNetworks, firewalls, nodeNetworks, nodePorts],
  run: async (facts) => {
    const networks = await facts(clusterNetworks);
    const ports = await facts(nodePorts);
    const { tools, nft } = await facts(firewalls);
    const nodes = await facts(nodeNetworks);
    const closed = [
      ...tools.map((tool) => closedByTool(tool, { networks, ports, nodes })),
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
  const rules = eachOnce(closed.flatMap((each) => each.rules));
  const byHand = closed.flatMap((each) => each.byHand);
  return {
    code: 'CHECK_FAILED',
    message: list.join('; '),
    hint: hintFor(rules, byHand),
    fix: [...commandsFor(rules), ...byHand].join('\n'),
    rules,
    details: { closed: closed.map(({ where, ports, networks }) => ({ where, ports, networks })) },
  };
}

function hintFor(rules: readonly FirewallRule[], byHand: readonly string[]): string {
  const done = `${FIX_BY_DOCTOR}, or --open-firewall of install and join`;
  if (byHand.length === 0) {
    return `Let that pass, or have it done (${done})`;
  }
  const lasting = /^sudo (nft|ip6?tables) /.test(byHand[0] ?? '')
    ? '. That lasts until the next start: write it into your rules, too (/etc/nftables.conf; of iptables: netfilter-persistent save)'
    : '';
  const some = rules.length === 0 ? '' : `. Some of it can be done for you (${done})`;
  return `Let that pass (the ports only from the other nodes, where it is a public network)${some}${lasting}`;
}

/** Of several zones. */
function eachOnce(rules: readonly FirewallRule[]): readonly FirewallRule[] {
  return [...new Map(rules.map((rule) => [rule.name, rule])).values()];
}

function portWords({ protocol, purpose, ...port }: NodePort): string {
  return `${portRange(port, '-')}/${protocol} (${purpose})`;
}

interface Needed {
  readonly networks: ClusterNetworks;
  readonly ports: readonly NodePort[];
  readonly nodes: NodeNetworks;
}

function closedByTool(firewall: ToolFirewall, { networks, ports, nodes }: Needed): Closed {
  const { tool, zone, rules, podsPass } = firewall;
  const { pods, services } = networks;
  const shutNetworks = podsPass
    ? []
    : [...pods, ...services].filter((each) => passageFrom(rules, each) !== 'open');
  const passageOf = (port: NodePort) =>
    passageTo(rules, { ...port, nodes: nodes.networks, others: [...pods, ...services] });
  const shut = ports.filter((port) => passageOf(port) !== 'open');
  const isDenied = (port: NodePort) => passageOf(port) === 'denied';
  const forPorts = nodes.networks.flatMap((network) =>
    shut.map((port) => ({
      rule: zone === undefined ? ufwRule(network, port) : firewalldRule(zone, network, port),
      isDenied: isDenied(port),
    })),
  );
  const forNetworks = shutNetworks.map((each) =>
    // firewalld asks the zone of a source before that of a link, whatever that says.
    tool === 'ufw'
      ? { rule: ufwRule(each, undefined), isDenied: passageFrom(rules, each) === 'denied' }
      : { rule: trustedSource(each), isDenied: false },
  );
  const wanted = [...forNetworks, ...forPorts];
  return {
    where: zone === undefined ? tool : `${tool} (zone ${zone})`,
    ports: shut,
    networks: shutNetworks.map(({ text }) => text),
    rules: wanted.flatMap((each) => (each.isDenied ? [] : [each.rule])),
    byHand: [
      // A rule that keeps out is its owner's: what has to come before it is not for us to put there.
      ...commandsBefore(wanted.flatMap((each) => (each.isDenied ? [each.rule] : []))),
      // From where other nodes come is not known: whether all may is not for us to decide.
      ...(nodes.networks.length > 0 ? [] : openToAll(firewall, shut, isDenied)),
    ],
  };
}

/** docs.k3s.io, "Requirements", "Operating Systems". */
function openToAll(
  { zone }: ToolFirewall,
  ports: readonly NodePort[],
  isDenied: (port: NodePort) => boolean,
): readonly string[] {
  if (zone === undefined) {
    return ports.map(
      (port) =>
        `sudo ufw ${isDenied(port) ? 'prepend ' : ''}allow ${portRange(port, ':')}/${port.protocol}`,
    );
  }
  const add = `sudo firewall-cmd --permanent --zone=${zone} --add-`;
  const lines = ports.map((port) =>
    isDenied(port)
      ? `${add}rich-rule='rule priority="-1" port port="${portRange(port, '-')}" protocol="${port.protocol}" accept'`
      : `${add}port=${portRange(port, '-')}/${port.protocol}`,
  );
  return lines.length === 0 ? [] : [...lines, 'sudo firewall-cmd --reload'];
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
  const { fromNetwork, toPort } = commandsAt(chain);
  const byHand = [...networks.map(fromNetwork), ...shut.map(toPort)];
  return [
    {
      where: placeOf(chain),
      ports: shut,
      networks: networks.map(({ text }) => text),
      rules: [],
      byHand,
    },
  ];
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
  const { fromNetwork, toNetwork } = commandsAt(chain);
  const byHand = networks.flatMap((network) => [fromNetwork(network), toNetwork(network)]);
  return [
    {
      where: placeOf(chain),
      ports: [],
      networks: networks.map(({ text }) => text),
      rules: [],
      byHand,
    },
  ];
}

function placeOf({ family, table, name }: NftChain): string {
  return `the chain ${name} of nftables' table ${family} ${table}`;
}

interface ChainCommands {
  readonly fromNetwork: (network: IpRange) => string;
  readonly toNetwork: (network: IpRange) => string;
  readonly toPort: (port: NodePort) => string;
}

/** At the beginning of the chain: behind a rule that drops it would never be asked. */
function commandsAt({ family, table, name }: NftChain): ChainCommands {
  // Chains of iptables are kept by what saves those of iptables.
  if (table === 'filter' && name === name.toUpperCase() && /^ip6?$/.test(family)) {
    const insert = `sudo ${family}tables -I ${name}`;
    return {
      fromNetwork: ({ text }) => `${insert} -s ${text} -j ACCEPT`,
      toNetwork: ({ text }) => `${insert} -d ${text} -j ACCEPT`,
      toPort: (port) => `${insert} -p ${port.protocol} --dport ${portRange(port, ':')} -j ACCEPT`,
    };
  }
  const insert = `sudo nft insert rule ${family} ${table} ${name}`;
  const ip = ({ version }: IpRange) => (version === 4 ? 'ip' : 'ip6');
  return {
    fromNetwork: (network) => `${insert} ${ip(network)} saddr ${network.text} accept`,
    toNetwork: (network) => `${insert} ${ip(network)} daddr ${network.text} accept`,
    toPort: (port) => `${insert} ${port.protocol} dport ${portRange(port, '-')} accept`,
  };
}
