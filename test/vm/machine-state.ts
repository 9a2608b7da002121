/**
 * What a machine looks like, to compare before and after: an installation and its removal must
 * cancel out.
 */

import type { Machine } from './machine.ts';

/** Each list is sorted; every entry is one line for people. */
export interface MachineState {
  /** Kind, mode, owner and path (and link target) of files outside of TRANSIENT_PATHS. */
  readonly files: readonly string[];
  /** SHA-256 and path of regular files below HASHED_PATHS. */
  readonly contents: readonly string[];
  /** Unit files with their enablement, and loaded services, sockets, paths and timers. */
  readonly units: readonly string[];
  /** Lines of passwd(5). */
  readonly users: readonly string[];
  /** Lines of group(5). */
  readonly groups: readonly string[];
  readonly mounts: readonly string[];
  /** Links with their addresses, and routes. */
  readonly network: readonly string[];
  /** Rules of nftables, which Debian's iptables writes to as well, and tables of others. */
  readonly firewall: readonly string[];
  /** Protocol, address and program. */
  readonly listening: readonly string[];
  /** User and command line. */
  readonly processes: readonly string[];
}

/** Change all the time, or are gone after a reboot. */
const TRANSIENT_PATHS = [
  ...['/dev', '/proc', '/run', '/sys', '/tmp', '/var/tmp', '/var/log', '/var/cache'],
  '/var/lib/systemd',
];

const HASHED_PATHS = ['/etc', '/opt', '/root', '/usr/local', '/usr/lib/systemd'];

const LISTING_TIMEOUT_MS = 120_000;

/** What iptables-nft(8) calls its tables, and the head of a chain that changes nothing. */
const IPTABLES_TABLE = /^ip6? (filter|mangle|nat|raw|security)$/;
const EMPTY_CHAIN = /^type .* policy accept;$/;

export async function readMachineState(exec: Machine['exec']): Promise<MachineState> {
  const lines = async (...argv: string[]) => {
    const { stdout } = await exec(argv, { timeoutMs: LISTING_TIMEOUT_MS });
    return sorted(stdout.split('\n'));
  };
  const prune = TRANSIENT_PATHS.flatMap((path) => ['-path', path, '-prune', '-o']);
  const list = ['-printf', '%y %m %u:%g %p %l\\n'];
  const hash = ['-type', 'f', '-exec', 'sha256sum', '{}', '+'];
  const listUnits = ['systemctl', '--no-legend', '--plain', '--no-pager'];
  const types = '--type=service,socket,path,timer';
  const addresses = await lines('ip', '-brief', 'address');
  const routes = [...(await lines('ip', 'route')), ...(await lines('ip', '-6', 'route'))];
  return {
    files: (await lines('find', '/', '-xdev', ...prune, ...list)).map((line) => line.trimEnd()),
    contents: await lines('find', ...HASHED_PATHS, '-xdev', ...hash),
    units: sorted([
      ...(await lines(...listUnits, 'list-unit-files')).map(squeezeSpaces),
      ...(await lines(...listUnits, 'list-units', '--all', types)).map(nameAndLoadState),
    ]),
    users: await lines('getent', 'passwd'),
    groups: await lines('getent', 'group'),
    mounts: await lines('findmnt', '--list', '--noheadings', '--output', 'TARGET,FSTYPE'),
    network: sorted([...addresses.map(withoutLinkLocal), ...routes.map((route) => route.trim())]),
    firewall: firewallRules((await exec(['nft', '--stateless', 'list', 'ruleset'])).stdout),
    listening: (await lines('ss', '-Hlntup')).map(addressAndProgram),
    processes: (await lines('ps', '-eo', 'user=,args=')).map(squeezeSpaces).filter(lastsLonger),
  };
}

/** Whoever adds or removes a user leaves the state before in these (passwd(5), "backup files"). */
export const USER_BACKUPS = /\/etc\/g?(passwd|group|shadow)-$/;

/**
 * What differs, one line each: `files: + f 644 root:root /etc/example` was added, `-` removed.
 * @param ignore lines that match one of these are left out.
 */
export function compareStates(
  before: MachineState,
  after: MachineState,
  ignore: readonly RegExp[] = [],
): readonly string[] {
  const categories = Object.keys(before) as (keyof MachineState)[];
  return categories
    .flatMap((category) => [
      ...missing(before[category], after[category]).map((line) => `${category}: - ${line}`),
      ...missing(after[category], before[category]).map((line) => `${category}: + ${line}`),
    ])
    .filter((line) => !ignore.some((pattern) => pattern.test(line)));
}

function missing(from: readonly string[], to: readonly string[]): readonly string[] {
  const present = new Set(to);
  return from.filter((line) => !present.has(line));
}

function sorted(lines: readonly string[]): readonly string[] {
  return [...new Set(lines.filter((line) => line.trim() !== ''))].sort();
}

function squeezeSpaces(line: string): string {
  return line.trim().replaceAll(/\s+/g, ' ');
}

/** A service may start or end meanwhile; whether it is known does not change by itself. */
function nameAndLoadState(line: string): string {
  return squeezeSpaces(line).split(' ').slice(0, 2).join(' ');
}

/** Nor the number of the link's other end, which is another one after a reboot. */
function withoutLinkLocal(line: string): string {
  return squeezeSpaces(line)
    .replace(/@\S+/, '')
    .split(' ')
    .filter((word) => !word.startsWith('fe80:'))
    .join(' ');
}

/**
 * `ip nat PREROUTING: <rule>` for each rule, element and base chain; `table ip flannel-ipv4` for each table.
 * The empty tables that iptables makes when it only looks at them are left out.
 */
function firewallRules(ruleset: string): readonly string[] {
  let table = '';
  let block = '';
  const rules: string[] = [];
  for (const line of ruleset.split('\n')) {
    const text = line.trim();
    if (line.startsWith('table ')) {
      table = text.replace(/^table | \{$/g, '');
      rules.push(...(IPTABLES_TABLE.test(table) ? [] : [`table ${table}`]));
    } else if (/^\t\S.*\{$/.test(line)) {
      block = text.split(' ')[1] ?? '';
    } else if (line.startsWith('\t\t') && !(IPTABLES_TABLE.test(table) && EMPTY_CHAIN.test(text))) {
      rules.push(`${table} ${block}: ${text}`);
    }
  }
  return sorted(rules);
}

function addressAndProgram(line: string): string {
  const [protocol, , , , address] = squeezeSpaces(line).split(' ');
  const program = /users:\(\("([^"]+)"/.exec(line)?.[1] ?? '';
  return `${protocol} ${address} ${program}`;
}

/** Leaves out ourselves and what systemd starts for a moment. */
function lastsLonger(line: string): boolean {
  return !/ (timeout|ps) |\(sd-pam\)|systemd-(tmpfiles|timedated|hostnamed)/.test(line);
}
