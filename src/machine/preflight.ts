/** What is looked at before anything on the machine is changed. */
import type { LoadedConfig } from '../config/load.ts';
import { K3S_UNITS, type K3sRole, UNIT_NAME } from '../core/places.ts';
import type { Check } from '../host/checks/check.ts';
import { enoughDiskSpace } from '../host/checks/disk-space.ts';
import { noDataOfOthers } from '../host/checks/k3s-data.ts';
import { enoughMemory } from '../host/checks/memory.ts';
import { nodeAddresses } from '../host/checks/node-address.ts';
import { noOtherCluster } from '../host/checks/other-cluster.ts';
import { portsFree } from '../host/checks/ports.ts';
import { processorKnown } from '../host/checks/processor.ts';
import { blockingError, runChecks } from '../host/checks/run.ts';
import { systemd } from '../host/checks/systemd.ts';
import { tools } from '../host/checks/tools.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import { isActive } from '../host/engine/systemctl.ts';
import { factsOf } from '../host/facts/fact.ts';
import { checkFixedSettings } from '../host/k3s/fixed-settings.ts';
import { foreignK3sSettings } from '../host/k3s/foreign-settings.ts';
import { checkRole, type K3sPlan } from '../host/k3s/resources.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';

/** Kubernetes' API and the kubelet (docs.k3s.io, "Requirements", "Networking"). */
export const K3S_PORTS: Readonly<Record<K3sRole, readonly number[]>> = {
  server: [6443, 10250],
  agent: [10250],
};

/** A machine that was never set up: what an earlier run has done already does not count against this one. */
const BARE_MACHINE: readonly Check[] = [
  systemd,
  processorKnown,
  enoughMemory,
  enoughDiskSpace,
  tools,
  noOtherCluster,
  noDataOfOthers,
];

export interface PreflightSubject {
  readonly inventory: HostInventory;
  readonly settings: LoadedConfig;
  readonly k3s: Omit<K3sPlan, 'authorities'>;
  /** Where the agent itself will listen, on loopback. */
  readonly agentPorts: readonly number[];
}

/**
 * Runs every check, and tells what only warns.
 * @throws AgentError with all findings that block: their code and hint where it is one, else the code
 *   of the first
 */
export async function preflight(
  context: MachineContext,
  subject: PreflightSubject,
  notice: (text: string) => void,
): Promise<void> {
  checkRole(subject.inventory, subject.k3s.role); // Of a machine with another role nothing else counts.
  const isBare = !subject.inventory.has('k3s', subject.k3s.role);
  const results = await runChecks(factsOf(context), [
    nodeAddresses(subject.settings.config.k3s.node_ip),
    fixedSettings(context, subject),
    ...(isBare ? BARE_MACHINE : []),
    ...foreignSettings(context, subject),
    portsFree(await wantedPorts(context, subject, isBare)),
  ]);
  const error = blockingError(results);
  if (error !== undefined) {
    throw error;
  }
  for (const { finding } of results) {
    if (finding !== null) {
      notice(`${finding.message}. ${finding.hint}.\n`);
    }
  }
}

async function wantedPorts(
  context: MachineContext,
  { k3s, agentPorts }: PreflightSubject,
  isBare: boolean,
): Promise<readonly number[]> {
  if (isBare) {
    return [...K3S_PORTS[k3s.role], ...agentPorts];
  }
  const held = (await isActive(context, UNIT_NAME)) ? await portsOfFile(context) : [];
  return agentPorts.filter((port) => !held.includes(port));
}

/** Where the daemon listens that runs. */
async function portsOfFile(context: MachineContext): Promise<readonly number[]> {
  try {
    const { config } = await loadEffectiveConfig({ ...context, env: {} }, {});
    return [config.http.port, config.http.tls_port];
  } catch {
    return []; // It is written anew.
  }
}

function fixedSettings(context: MachineContext, { settings, k3s }: PreflightSubject): Check {
  // The file tells what an earlier run was asked for; k3s may have been upgraded since.
  const version = settings.sources['k3s.version'] === 'file' ? undefined : k3s.version;
  return {
    id: 'fixed-settings',
    title: 'Settings that a second run cannot change',
    severity: 'blocks',
    needs: [],
    run: async () => {
      await checkFixedSettings(context, { ...k3s, version, hostname: context.hostname });
      return undefined;
    },
  };
}

/** What others have set for k3s here: some of it must not be, and the rest is told. */
function foreignSettings(
  context: MachineContext,
  { k3s }: PreflightSubject,
): readonly [mustNot: Check, taken: Check] {
  const read = once(() => foreignK3sSettings(context, k3s));
  const about = { title: "k3s' settings of others", needs: [] };
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
        // What must not be is told by the check before.
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
