/** The checks that run before anything on the machine is changed. */
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { K3S_UNITS } from '../core/k3s-places.ts';
import { UNIT_NAME } from '../core/places.ts';
import { type Check, EVERYWHERE, type Finding } from '../host/checks/check.ts';
import { clockBesideDownloads } from '../host/checks/clock.ts';
import { firewallOpen } from '../host/checks/firewall.ts';
import { nodeAddresses } from '../host/checks/node-address.ts';
import { portsFree } from '../host/checks/ports.ts';
import { blockingError, type CheckResult, type Outcome, runChecks } from '../host/checks/run.ts';
import { hasK3s } from '../host/cluster/adopted-k3s.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { isActive } from '../host/engine/systemctl.ts';
import type { Subject } from '../host/facts/fact.ts';
import { commandsFor, type FirewallRule } from '../host/firewall/rule.ts';
import { checkFixedSettings } from '../host/k3s/fixed-settings.ts';
import { foreignK3sSettings } from '../host/k3s/foreign-settings.ts';
import { isPrepared } from '../host/k3s/prepared.ts';
import { checkRole } from '../host/k3s/resources.ts';
import { BEFORE_ETCD, CLOCKS, checksBeforehand, checksBesideK3s, ON_THE_WAY } from './checks.ts';
import { clockWasSet, isClockWrong } from './clock-set.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';
import { factDeps } from './fact-deps.ts';
import { IGNORE_VARIABLE, withIgnored } from './ignored-checks.ts';
import { rulesIn } from './repairs.ts';
import type { PlannedK3s } from './set-up.ts';

export interface PreflightSubject {
  readonly inventory: HostInventory;
  readonly settings: LoadedConfig;
  readonly k3s: PlannedK3s;
  /** k3s was here before us: its settings are its owner's. */
  readonly adoptsK3s?: boolean;
  /** Nothing is written. */
  readonly isDryRun: boolean;
  /** Everything comes from a bundle. */
  readonly isOffline: boolean;
  /** Ports on loopback on which the agent itself will listen. */
  readonly agentPorts: readonly number[];
  /** What a firewall keeps out is let through afterwards, as far as that is safe. */
  readonly opensFirewall: boolean;
}

/**
 * Runs every check. Tells the person the findings that only warn.
 * @returns what is to be opened in firewalls
 * @throws AgentError with all findings that block. A single one keeps its own hint; of several, the first
 *   gives the code
 */
export async function preflight(
  context: MachineContext,
  subject: PreflightSubject,
  notice: (text: string) => void,
): Promise<readonly FirewallRule[]> {
  checkRole(subject.inventory, subject.k3s.role); // Of a machine with another role nothing else counts.
  const isBare = !hasK3s(subject.inventory, subject.k3s.role);
  const held = isBare ? [] : await heldPorts(context);
  const results = await look(context, 'Look at this machine', machineOf(subject, isBare), [
    nodeAddresses(subject.settings.config.k3s.node_ip),
    ...(subject.adoptsK3s === true ? [] : [fixedSettings(context, subject)]),
    ...(isBare
      ? bareChecks(subject)
      : [
          portsFree(subject.agentPorts.filter((port) => !held.includes(port))),
          ...(subject.opensFirewall ? [firewallOpen] : []),
        ]),
    ...(getsEtcd(subject) ? BEFORE_ETCD : []),
    ...(subject.adoptsK3s === true ? [] : foreignSettings(context, subject)),
  ]);
  if (!subject.opensFirewall) {
    notice(warnings(results));
    return [];
  }
  notice(warnings(results.filter((each) => !isMendedByRules(each))));
  return rulesIn(results);
}

function isMendedByRules({ outcome }: CheckResult): boolean {
  const { rules = [], fix } = outcome.state === 'found' ? outcome.finding : {};
  return rules.length > 0 && fix === commandsFor(rules).join('\n');
}

/**
 * Looks at what lies between this machine and its control plane: the clocks, what opens TLS, what cuts
 * WebSockets.
 * @returns what only warns, to be told once the control plane has answered
 * @throws AgentError as `preflight`
 */
export async function preflightWay(context: MachineContext, config: Config): Promise<string> {
  const subject = { role: 'bare', k3sRole: 'server', config } as const;
  return warnings(await look(context, 'Look at the way there', subject, ON_THE_WAY));
}

/** Compares the clock with those of where k3s is fetched from, where no control plane is asked. As `preflightWay`. */
export async function preflightDownloads(context: MachineContext, config: Config): Promise<string> {
  const subject = { role: 'bare', k3sRole: 'server', config } as const;
  return warnings(await look(context, 'Compare the clocks', subject, [clockBesideDownloads]));
}

/** Compares the clocks of this machine and of the server that it joins. As `preflightWay`. */
export async function preflightServer(
  context: MachineContext,
  config: Config,
  joins: NonNullable<Subject['joins']>,
): Promise<string> {
  const subject = { role: 'bare', k3sRole: 'agent', config, joins } as const;
  return warnings(await look(context, 'Compare the clocks', subject, CLOCKS));
}

/** With a line of progress: where a network is silent it takes seconds. @throws AgentError what blocks */
async function look(
  context: MachineContext,
  title: string,
  subject: Subject,
  checks: readonly Check[],
): Promise<readonly CheckResult[]> {
  const progress = await context.progress(title);
  try {
    const deps = factDeps(context, subject);
    const first = await runChecks(deps, checks);
    const isSet = isClockWrong(first) && (await clockWasSet(deps, progress.update));
    const all = isSet ? await runChecks(deps, checks) : first;
    const results = withIgnored(all, context.env[IGNORE_VARIABLE]);
    const error = blockingError(results);
    if (error !== undefined) {
      throw error;
    }
    progress.done();
    return results;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}

function warnings(results: readonly CheckResult[]): string {
  return results.map(({ title, outcome }) => warning(title, outcome)).join('');
}

function warning(title: string, outcome: Outcome): string {
  switch (outcome.state) {
    case 'found':
      return `${outcome.finding.message}. ${outcome.finding.hint}.\n${commands(outcome.finding)}`;
    case 'not-checked':
      return `Not checked: ${title}: ${outcome.because}.\n`;
    case 'ok':
      return '';
  }
}

/** On lines of their own, to be copied. */
function commands({ fix }: Finding): string {
  return fix === undefined ? '' : fix.replaceAll(/^/gm, '    ').concat('\n');
}

/** Its data come into etcd with this run. A dry run writes nothing, not even to measure the disk. */
function getsEtcd({ k3s, isDryRun }: PreflightSubject): boolean {
  const { role, config } = k3s;
  return (
    (config['cluster-init'] === true || (role === 'server' && 'server' in config)) && !isDryRun
  );
}

function bareChecks({ adoptsK3s, isOffline }: PreflightSubject): readonly Check[] {
  return adoptsK3s === true ? checksBesideK3s() : checksBeforehand({ isOffline });
}

function machineOf(
  { k3s, settings, inventory, adoptsK3s = false }: PreflightSubject,
  isBare: boolean,
): Subject {
  const role = k3s.role === 'server' ? 'server' : 'worker';
  return {
    role: isBare ? 'bare' : role,
    k3sRole: k3s.role,
    adoptsK3s,
    hasPreparedK3s: isPrepared(inventory),
    config: settings.config,
  };
}

/** Ports that the agent of an earlier run holds. They count as free. */
async function heldPorts(context: MachineContext): Promise<readonly number[]> {
  return (await isActive(context, UNIT_NAME)) ? await portsOfFile(context) : [];
}

/** Ports of the daemon that runs now. */
async function portsOfFile(context: MachineContext): Promise<readonly number[]> {
  try {
    const { config } = await loadEffectiveConfig({ ...context, env: {} }, {});
    return [config.http.port, config.http.tls_port];
  } catch {
    return []; // The file cannot be used, and will be written anew.
  }
}

/** Of checks that are made of one run's settings, and stand in no table. */
const ONLY_HERE = { cost: 'dear', roles: EVERYWHERE, why: '', remedy: '', needs: [] } as const;

function fixedSettings(context: MachineContext, { settings, k3s }: PreflightSubject): Check {
  // A version in the file is the wish of an earlier run. k3s may have been upgraded since.
  const version = settings.sources['k3s.version'] === 'file' ? undefined : k3s.version;
  return {
    id: 'fixed-settings',
    title: 'Settings that a second run cannot change',
    severity: 'blocks',
    ...ONLY_HERE,
    run: async () => {
      await checkFixedSettings(context, { ...k3s, version, hostname: context.hostname });
      return undefined;
    },
  };
}

/** Settings of others for k3s: some of them are refused, and the person is told of the rest. */
function foreignSettings(
  context: MachineContext,
  { k3s }: PreflightSubject,
): readonly [mustNot: Check, taken: Check] {
  const read = once(() => foreignK3sSettings(context, k3s));
  const about = { title: "k3s' settings of others", ...ONLY_HERE };
  return [
    {
      ...about,
      id: 'foreign-settings',
      severity: 'blocks',
      run: async () => {
        await read();
        return undefined;
      },
    },
    {
      ...about,
      id: 'foreign-settings-taken',
      severity: 'warns',
      run: async () => {
        // The check before this one tells of those that are refused.
        const taken = await read().catch(() => []);
        return taken.length === 0
          ? undefined
          : {
              code: 'CONFIG_INVALID',
              message: `k3s also takes up what others have set here: ${taken.join(', ')}`,
              hint: `Change it there, then: sudo systemctl restart ${K3S_UNITS[k3s.role]}`,
            };
      },
    },
  ];
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => {
    begun ??= work();
    return begun;
  };
}
