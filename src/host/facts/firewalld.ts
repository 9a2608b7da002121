import type { Exec, Files } from '../../core/ports.ts';
import {
  LETS_ALL,
  POD_DEVICES,
  portsOf,
  type ToolFirewall,
  type ToolRule,
} from './firewall-tools.ts';
import { answerOf } from './tool-output.ts';

/** What it knows by name, an administrator's before its own (firewalld.dirs(5)). */
const SERVICE_DIRECTORIES = ['/etc/firewalld/services', '/usr/lib/firewalld/services'];
/** Services may include services. */
const SERVICE_DEPTH_MAX = 4;
/** Of the file of one service, bytes. */
const SERVICE_READ_BYTES = 64 * 1024;
/** Named by a set or by the address of a network card. */
const SOMEBODY = 'somebody';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly signal: AbortSignal;
}

interface Zone {
  readonly name: string;
  /** The words behind `interfaces:`, `sources:`, … */
  words(name: string): readonly string[];
  readonly richRules: readonly string[];
}

/**
 * A packet belongs to the zone of its source, else to that of the link by which it comes, else to the
 * usual one (firewalld.zones(5)).
 * @param devices links by which other nodes come
 * @returns one for each zone of those links; none where firewalld is not there, or off
 */
export async function readFirewalld(
  deps: Deps,
  devices: readonly string[],
): Promise<readonly ToolFirewall[]> {
  const [text, usual] = await Promise.all([
    answerOf(deps, ['firewall-cmd', '--list-all-zones']),
    answerOf(deps, ['firewall-cmd', '--get-default-zone']),
  ]);
  if (text === undefined || usual === undefined) {
    return [];
  }
  const zones = parseZones(text);
  const bySource = await Promise.all(
    zones.map(async (zone) => {
      const sources = zone.words('sources');
      const rules = sources.length === 0 ? [] : await rulesIn(deps, zone);
      return sources.flatMap((own) =>
        rules.map(({ source = own, isInverted, ...rest }) => ({
          ...rest,
          source: isInverted ? own : source,
          isInverted: false,
        })),
      );
    }),
  );
  const zoneOf = (device: string) =>
    zones.find((zone) => zone.words('interfaces').includes(device))?.name ?? usual.trim();
  const names = new Set(devices.length === 0 ? [usual.trim()] : devices.map(zoneOf));
  const podsPass = zones.some(
    (zone) =>
      acceptsAll(zone) && zone.words('interfaces').some((device) => POD_DEVICES.includes(device)),
  );
  return Promise.all(
    [...names].map(async (name) => {
      const zone = zones.find((each) => each.name === name);
      const own = zone === undefined ? [] : await rulesIn(deps, zone);
      return { tool: 'firewalld', zone: name, rules: [...bySource.flat(), ...own], podsPass };
    }),
  );
}

/** Blocks such as `public (active)` with lines such as `  ports: 6443/tcp 2379-2380/tcp` (firewall-cmd(1)). */
function parseZones(text: string): readonly Zone[] {
  return text.split(/\n(?=\S)/).flatMap((block) => {
    const [head = '', ...lines] = block.split('\n');
    const [name = ''] = head.split(' ');
    const rows = lines.map((line) => line.trim());
    const words = (key: string) =>
      rows
        .find((row) => row.startsWith(`${key}:`))
        ?.split(/\s+/)
        .slice(1) ?? [];
    const richRules = rows.filter((row) => row.startsWith('rule '));
    return name === '' ? [] : [{ name, words, richRules }];
  });
}

function acceptsAll(zone: Zone): boolean {
  return zone.words('target').includes('ACCEPT');
}

/** What the zone says, whoever it comes from, in the order in which it is asked. */
async function rulesIn(deps: Deps, zone: Zone): Promise<readonly ToolRule[]> {
  const services = await Promise.all(
    zone.words('services').map((name) => portsOfService(deps, name, 0)),
  );
  const inOrder = zone.richRules.toSorted((a, b) => priorityOf(a) - priorityOf(b));
  const rich = async (wanted: (priority: number) => boolean) => {
    const rules = inOrder.filter((rule) => wanted(priorityOf(rule)));
    return (await Promise.all(rules.map((rule) => rulesOf(deps, rule)))).flat();
  };
  const usual = await rich((priority) => priority === 0);
  return [
    ...(await rich((priority) => priority < 0)),
    // firewalld.richlanguage(5), "Priority": without one, what keeps out comes first.
    ...usual.filter(({ lets }) => !lets),
    ...usual.filter(({ lets }) => lets),
    ...zone.words('ports').map(portOf),
    ...services.flat(),
    ...(await rich((priority) => priority > 0)),
    ...(acceptsAll(zone) ? [LETS_ALL] : []),
  ];
}

function priorityOf(rule: string): number {
  return Number(quoted(rule, 'priority') ?? 0);
}

function portOf(word: string): ToolRule {
  const [range = '', protocol] = word.split('/');
  return { ...LETS_ALL, protocol, ports: portsOf(range, '-') };
}

/** `rule family="ipv4" source address="10.0.0.0/24" port port="6443" protocol="tcp" accept` (firewalld.richlanguage(5)). */
async function rulesOf(deps: Deps, rule: string): Promise<readonly ToolRule[]> {
  const lets = / accept\b/.test(rule);
  // What keeps out only what goes to one address, or above a limit, may not mean nodes.
  if (!lets && (!/ (reject|drop)\b/.test(rule) || / (destination|limit) /.test(rule))) {
    return [];
  }
  const from = {
    lets,
    source: / source /.test(rule) ? (sourceOf(rule) ?? SOMEBODY) : undefined,
    isInverted: / source NOT /.test(rule),
  };
  const service = quoted(rule, 'service name');
  if (service !== undefined) {
    const ports = await portsOfService(deps, service, 0);
    return ports.map((each) => ({ ...each, ...from }));
  }
  const port = quoted(rule, 'port port');
  if (port !== undefined) {
    const protocol = quoted(rule, 'protocol');
    return [{ ...from, protocol, ports: portsOf(port, '-') }];
  }
  // Without a port it is about all, unless it asks for something else.
  return / (protocol|icmp-type|icmp-block|source-port|forward-port) /.test(rule)
    ? []
    : [{ ...LETS_ALL, ...from }];
}

function sourceOf(rule: string): string | undefined {
  return quoted(rule, 'source address') ?? quoted(rule, 'source NOT address');
}

async function portsOfService(
  deps: Deps,
  name: string,
  depth: number,
): Promise<readonly ToolRule[]> {
  const text = depth > SERVICE_DEPTH_MAX ? '' : await serviceFile(deps, name);
  const tags = text.match(/<(port|include) [^>]*>/g) ?? [];
  const found = await Promise.all(
    tags.map(async (tag) => {
      const included = quoted(tag, 'service');
      const port = quoted(tag, 'port');
      return included === undefined
        ? [portOf(`${port}/${quoted(tag, 'protocol')}`)]
        : await portsOfService(deps, included, depth + 1);
    }),
  );
  return found.flat();
}

/** The value behind a word and an equals sign, in XML as in rich rules. */
function quoted(text: string, word: string): string | undefined {
  return text.split(` ${word}="`)[1]?.split('"')[0];
}

async function serviceFile({ files }: Deps, name: string): Promise<string> {
  for (const directory of /^[\w-]+$/.test(name) ? SERVICE_DIRECTORIES : []) {
    const text = await files.readStart(`${directory}/${name}.xml`, SERVICE_READ_BYTES);
    if (text !== undefined) {
      return text;
    }
  }
  return '';
}
