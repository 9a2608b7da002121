import { basename } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import { hasControlPlaneToken } from '../host/agent/control-plane-token.ts';
import { readJoined } from '../host/cluster/joined-worker.ts';
import { type HostInventory, openInventory } from '../host/engine/inventory.ts';
import { readUsrLocal } from '../host/facts/usr-local.ts';
import { serverConfig } from '../host/k3s/config.ts';
import { readPolicyFile } from '../policy/read-file.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import { type AdoptionWishes, adoptExisting } from './adopt.ts';
import { type TimedContext, timedBeforehand } from './beforehand.ts';
import { givenBundle, k3sSource, withVersionOf } from './bundle.ts';
import { checkControlPlane } from './check-control-plane.ts';
import { describeNetworks, withFreeNetworks } from './cluster-networks.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig, tellWarnings } from './effective-config.ts';
import { sharedSettings } from './further-server.ts';
import { proxyPassword, readCa } from './outbound.ts';
import { refuseOtherInstallation } from './packaged.ts';
import { policyOfPreset } from './policy-preset.ts';
import { preflight, preflightDownloads, preflightWay } from './preflight.ts';
import { wantedRegistries } from './registries.ts';
import { machineResources } from './resources.ts';
import { skipsSelinuxPackage } from './selinux-package.ts';
import {
  givenSettings,
  k3sPlan,
  type SetUpOptions,
  type SetUpOutcome,
  setUpMachine,
} from './set-up.ts';

/** How a person wants the server. */
export interface ServerWishes extends SetUpOptions {
  /** Settings that were given as flags. */
  readonly flags: ConfigFlags;
  /** The preset of the policy, if there is no policy yet. */
  readonly preset: string | undefined;
  readonly token: TokenSource;
  readonly adopt: boolean;
  readonly yes: boolean;
  readonly confirm: AdoptionWishes['confirm'];
}

/** Where the control-plane token comes from. The functions throw AgentError USAGE, TOKEN_INVALID. */
export interface TokenSource {
  /** From a file or the environment. */
  given(): Promise<string | undefined>;
  /** From a person, if there is one to ask. */
  ask(): Promise<string | undefined>;
}

/** `install` on a machine that becomes a server of its own cluster, or whose k3s is taken over. */
export async function installServer(
  context: MachineContext,
  wishes: ServerWishes,
): Promise<SetUpOutcome> {
  await refuseOtherInstallation(context);
  const { files, places } = context;
  const isNew = (await files.stat(places.hostStateDirectory)) === undefined;
  try {
    return await setUpServer(await timedBeforehand(context), wishes);
  } finally {
    // Of a run that was refused or only looked: kubectl has asked a cluster that is here already.
    const names = isNew ? await files.list(places.hostStateDirectory) : [];
    if (names.length === 1 && names[0] === basename(places.kubectlCacheDirectory)) {
      await files.removeTree(places.hostStateDirectory);
    }
  }
}

async function setUpServer(
  { context, before }: TimedContext,
  wishes: ServerWishes,
): Promise<SetUpOutcome> {
  const given = await loadEffectiveConfig(context, wishes.flags);
  wishes.notice(tellWarnings(context, given, wishes.flags));
  const inventory = await openInventory(context);
  if (context.env['NODE_TYPE'] === undefined && (await hasJoined(context, inventory))) {
    const token = await wishes.token.given(); // A wrong secret is refused, even where none is needed.
    const { upgradeJoined } = await import('./join.ts');
    return upgradeJoined(context, wishes, token);
  }
  const adopted = await adoptExisting(context, inventory, given, wishes);
  const { loaded, networks } =
    adopted === undefined
      ? await withFreeNetworks(context, inventory, given, wishes.flags)
      : {
          loaded: await loadEffectiveConfig(context, { ...wishes.flags, ...adopted.flags }),
          networks: null,
        };
  wishes.notice(networks === null ? '' : describeNetworks(networks));
  const { config } = loaded;
  const k3s = k3sPlan(context, loaded, {
    role: 'server',
    config: serverConfig(config.k3s),
    joinToken: undefined,
  });
  const agentPorts = [config.http.port, config.http.tls_port];
  const adoptsK3s = adopted !== undefined;
  // A k3s that is taken over gets no images of ours.
  const bundle = adoptsK3s ? undefined : await givenBundle(context, wishes.bundle, config);
  const settings = withVersionOf(bundle, loaded);
  const { dryRun: isDryRun, opensFirewall } = wishes;
  const machine = { inventory, settings, k3s, agentPorts, adoptsK3s };
  const run = { isOffline: bundle !== undefined, isDryRun, opensFirewall };
  const opens = await preflight(context, { ...machine, ...run }, wishes.notice);
  const policy = await choosePolicy(context, wishes.preset);
  const token = await findToken(context, wishes.token, inventory, adopted?.token);
  const ca = await readCa(context, config);
  const isBare = !adoptsK3s && !inventory.has('k3s', 'server');
  const fetchesK3s = isBare && bundle === undefined;
  await lookOutside(context, config, { ca, token, fetchesK3s }, wishes.notice);
  const isAsked = fetchesK3s && !isDryRun;
  const about = { k3sRole: 'server', config } as const;
  const skipsPackage = await skipsSelinuxPackage(context, about, isAsked);
  const source = await k3sSource(context, config, ca, bundle);
  const how = { role: 'server', ca } as const;
  const { registries, pulls } = await wantedRegistries(context, config, how, wishes.notice);
  const hasToken = token !== undefined || (await hasControlPlaneToken(context, inventory));
  const controlPlane = hasToken ? config.control_plane.url : null;
  const clusterName = config.cluster.name;
  const content = fileContent(context, loaded);
  const resources = machineResources(context, inventory, {
    k3s: { ...k3s, ...source, registries, skipsSelinuxPackage: skipsPackage },
    bundle,
    pulls,
    opens,
    layersUsrLocal: (await readUsrLocal(context)) === 'layer',
    adoption: adopted?.adoption,
    config: content,
    shared: sharedSettings(content, ca),
    expected: { role: 'server', clusterName, controlPlane },
    policy,
    controlPlaneCa: ca,
    controlPlaneToken: token,
    proxyCredentials: proxyPassword(context) || undefined,
    notice: wishes.notice,
  });
  if (!hasToken) {
    wishes.notice(
      'No control-plane token: setting up a standalone cluster. ' +
        'To connect it later, run install again with --token-file.\n',
    );
  }
  const { nodeName } = k3s;
  const server = { role: 'server', nodeName, clusterName, controlPlane } as const;
  const facts = { ...server, agentPorts, networks, adoption: adopted?.plan, before };
  return setUpMachine(context, inventory, resources, facts, wishes);
}

/** Where there is a control plane, it and the way there; else the clock alone. @throws AgentError as these */
async function lookOutside(
  context: MachineContext,
  config: Config,
  given: {
    readonly ca: string | undefined;
    readonly token: string | undefined;
    readonly fetchesK3s: boolean;
  },
  notice: (text: string) => void,
): Promise<void> {
  if (given.token !== undefined) {
    const warnings = await preflightWay(context, config);
    await checkControlPlane(context, config, given.ca, given.token);
    notice(warnings);
  } else if (given.fetchesK3s) {
    notice(await preflightDownloads(context, config));
  }
}

/** A worker, or a further server. */
async function hasJoined(context: MachineContext, inventory: HostInventory): Promise<boolean> {
  const isServer = inventory.has('k3s', 'server');
  return inventory.has('k3s', 'agent') || (isServer && (await readJoined(context)) !== undefined);
}

/**
 * The content of the configuration file. It names our copy of the CA certificate. It also names the
 * cluster, so that renaming the machine later does not rename the cluster.
 */
function fileContent({ places }: MachineContext, loaded: LoadedConfig) {
  const given = { ...givenSettings(loaded), cluster: loaded.config.cluster };
  return loaded.config.control_plane.ca_file === undefined
    ? given
    : {
        ...given,
        control_plane: { ...given.control_plane, ca_file: places.controlPlaneCaFile },
      };
}

/**
 * The existing policy file, or else a preset. Only `policy apply` changes an existing file.
 * @throws AgentError POLICY_INVALID, USAGE
 */
async function choosePolicy(
  context: MachineContext,
  preset: string | undefined,
): Promise<PolicyFile> {
  const wanted = preset === undefined ? undefined : policyOfPreset(preset);
  if (wanted !== undefined && (await context.files.stat(context.places.policyFile)) === undefined) {
    return wanted;
  }
  const current = await readPolicyFile(context, context.places.policyFile);
  if (wanted !== undefined && wanted.preset !== current.preset) {
    throw new AgentError('USAGE', `There is a policy already, of preset ${current.preset}`, {
      hint: `To change it: sudo pipeops-agent policy apply --preset ${wanted.preset}`,
    });
  }
  return current;
}

/**
 * What was given, an earlier run's, that of an agent in the cluster, a person's: in this order; undefined = standalone.
 * @throws AgentError USAGE, TOKEN_INVALID
 */
async function findToken(
  context: MachineContext,
  source: TokenSource,
  inventory: HostInventory,
  takenOver: string | undefined,
): Promise<string | undefined> {
  const given = await source.given();
  return given !== undefined || (await hasControlPlaneToken(context, inventory))
    ? given
    : (takenOver ?? source.ask());
}
