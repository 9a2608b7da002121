import type { CliContext } from '../cli/definition/context.ts';
import { readTokenFile } from '../cli/definition/given-secret.ts';
import type { SubcommandArgs } from '../cli/definition/subcommand.ts';
import type { LoadedConfig } from '../config/load.ts';
import { AgentError } from '../core/errors.ts';
import { CONTROL_PLANE_CA_FILE, POLICY_FILE } from '../core/places.ts';
import { hasControlPlaneToken } from '../host/agent/control-plane-token.ts';
import { type HostInventory, openInventory } from '../host/engine/inventory.ts';
import { serverConfig } from '../host/k3s/config.ts';
import { readPolicyFile } from '../policy/read-file.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import { parseControlPlaneToken } from '../protocol/secrets/control-plane-token.ts';
import { checkControlPlane } from './check-control-plane.ts';
import { loadEffectiveConfig } from './effective-config.ts';
import { openDownloads, proxyPassword, readCa } from './outbound.ts';
import { policyOfPreset } from './policy-preset.ts';
import { givenSettings, k3sPlan, preflight, type SetupOptions, setUpMachine } from './set-up.ts';
import { machineSteps } from './steps.ts';

/** Longer than a token may be: what it is instead shall be told, not only that it is too long. */
const TOKEN_FILE_LIMIT_BYTES = 64 * 1024;

/** `install` on a machine that becomes a server of its own cluster. */
export async function installServer(
  context: CliContext,
  flags: SubcommandArgs['flags'],
  options: SetupOptions,
): Promise<number> {
  const loaded = await loadEffectiveConfig(context, flags);
  const { config } = loaded;
  const inventory = await openInventory(context);
  if (inventory.has('k3s', 'agent') && context.env['NODE_TYPE'] === undefined) {
    await givenToken(context, flags); // It is not needed; a wrong secret is still told.
    const { upgradeWorker } = await import('./join.ts');
    return upgradeWorker(context, flags, options);
  }
  const k3s = k3sPlan(context, loaded, {
    role: 'server',
    config: serverConfig(config.k3s),
    joinToken: undefined,
  });
  const agentPorts = [config.http.port, config.http.tls_port];
  await preflight(context, inventory, loaded, k3s, agentPorts);
  const policy = await choosePolicy(context, flags['policy']);
  const token = await findToken(context, flags, inventory);
  const ca = await readCa(context, config);
  if (token !== undefined) {
    await checkControlPlane(context, config, ca, token);
  }
  const downloads = await openDownloads(context, config, ca);
  const hasToken = token !== undefined || (await hasControlPlaneToken(context, inventory));
  const controlPlane = hasToken ? config.control_plane.url : null;
  const clusterName = config.cluster.name;
  const steps = machineSteps(context, inventory, {
    k3s: { ...k3s, authorities: downloads.authorities },
    downloads: downloads.network.http,
    config: fileContent(loaded),
    expected: { role: 'server', clusterName, controlPlane },
    policy,
    controlPlaneCa: ca,
    controlPlaneToken: token,
    proxyCredentials: proxyPassword(context) || undefined,
  });
  if (!hasToken) {
    context.io.stderr(
      'No control-plane token: setting up a standalone cluster. ' +
        'To connect it later, run install again with --token-file.\n',
    );
  }
  const { nodeName } = k3s;
  const facts = { role: 'server', nodeName, clusterName, controlPlane, agentPorts } as const;
  return setUpMachine(context, steps, facts, options);
}

/**
 * The daemon reads our copy of the CA certificate; and a machine that is renamed later does not
 * rename its cluster.
 */
function fileContent(loaded: LoadedConfig) {
  const given = { ...givenSettings(loaded), cluster: loaded.config.cluster };
  return loaded.config.control_plane.ca_file === undefined
    ? given
    : { ...given, control_plane: { ...given.control_plane, ca_file: CONTROL_PLANE_CA_FILE } };
}

/**
 * The policy file that is there, else a preset. Only `policy apply` changes the one that is there.
 * @throws AgentError POLICY_INVALID, USAGE
 */
async function choosePolicy(
  context: CliContext,
  preset: string | boolean | undefined,
): Promise<PolicyFile> {
  const wanted = preset === undefined ? undefined : policyOfPreset(String(preset));
  if (wanted !== undefined && (await context.files.stat(POLICY_FILE)) === undefined) {
    return wanted;
  }
  const current = await readPolicyFile(context, POLICY_FILE);
  if (wanted !== undefined && wanted.preset !== current.preset) {
    throw new AgentError('USAGE', `There is a policy already, of preset ${current.preset}`, {
      hint: `To change it: sudo pipeops-agent policy apply --preset ${wanted.preset}`,
    });
  }
  return current;
}

/**
 * A file, the environment, an earlier run, a person: in this order; undefined = standalone.
 * @throws AgentError USAGE, TOKEN_INVALID
 */
async function findToken(
  context: CliContext,
  flags: SubcommandArgs['flags'],
  inventory: HostInventory,
): Promise<string | undefined> {
  const given = await givenToken(context, flags);
  if (given !== undefined || (await hasControlPlaneToken(context, inventory))) {
    return given;
  }
  const answer = await context.io.askSecret('Token of the control plane (empty for none): ');
  return answer === undefined ? undefined : parseControlPlaneToken(answer);
}

/** The token of a flag or a variable. @throws AgentError USAGE, TOKEN_INVALID */
async function givenToken(
  context: CliContext,
  flags: SubcommandArgs['flags'],
): Promise<string | undefined> {
  const file = flags['token-file'];
  if (typeof file !== 'string') {
    return parseControlPlaneToken(context.env['PIPEOPS_TOKEN'] ?? '');
  }
  const token = parseControlPlaneToken(await readTokenFile(context, file, TOKEN_FILE_LIMIT_BYTES));
  if (token === undefined) {
    throw new AgentError('USAGE', `There is no token in ${file}`, {
      hint: 'Write the token that the control plane gave you into that file, alone',
    });
  }
  return token;
}
