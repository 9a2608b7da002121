/** What the agent is on a machine that joined. */
import type { LoadedConfig } from '../config/load.ts';
import { Config, type ConfigInput } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import type { SharedByAgents } from '../host/cluster/shared-settings.ts';
import type { SharedSettings } from '../protocol/files/shared-settings.ts';
import { checkControlPlane } from './check-control-plane.ts';
import type { MachineContext } from './context.ts';
import { furtherServerSettings, otherThanShared, sharedAfter } from './further-server.ts';
import { proxyPassword } from './outbound.ts';
import type { MachinePlan } from './resources.ts';
import { workerSettings } from './set-up.ts';

type AgentPlan = Pick<
  MachinePlan,
  | 'config'
  | 'expected'
  | 'policy'
  | 'shared'
  | 'controlPlaneCa'
  | 'controlPlaneToken'
  | 'proxyCredentials'
>;

/** An agent with health and facts, and no part in the session. */
export function agentAside(loaded: LoadedConfig): AgentPlan {
  return {
    config: workerSettings(loaded),
    expected: { role: 'node', clusterName: null, controlPlane: null },
    policy: undefined,
    shared: undefined,
    controlPlaneCa: undefined,
    controlPlaneToken: undefined,
    proxyCredentials: undefined,
  };
}

/**
 * An agent that takes over the session when the server that has it is lost.
 * @throws AgentError CONFIG_INVALID; CONTROL_PLANE_UNREACHABLE, CONTROL_PLANE_ERROR, TOKEN_REJECTED for a token
 *   that is given
 */
export async function agentCandidate(
  context: MachineContext,
  loaded: LoadedConfig,
  { policy, ...shared }: SharedByAgents,
  given: {
    readonly ca: string | undefined;
    readonly token: string | undefined;
    /** It is a server already, whose settings may change. */
    readonly isJoined: boolean;
    readonly notice: (text: string) => void;
  },
): Promise<AgentPlan> {
  const config = furtherServerSettings(context, loaded, shared);
  const parsed = Config.safeParse(config, { jitless: true });
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
    throw new AgentError('CONFIG_INVALID', `Cannot use what the servers have set: ${wrong}`, {
      hint: 'Install the version of the other servers: "pipeops-agent version" there tells which',
    });
  }
  if (given.token !== undefined) {
    await checkControlPlane(context, parsed.data, given.ca, given.token); // All servers will have it.
  }
  const next = given.isJoined ? sharedAfter(loaded, shared, given.ca) : shared;
  if (given.isJoined) {
    given.notice(toldOfShared(context, { before: shared, next, config, ca: given.ca }));
  }
  return {
    config,
    // Which control plane that is, and whether there is one, the session's Secret says.
    expected: {
      role: 'server',
      clusterName: config.cluster?.name ?? null,
      controlPlane: undefined,
    },
    policy,
    shared: next,
    controlPlaneCa: given.ca,
    controlPlaneToken: given.token,
    proxyCredentials: proxyPassword(context) || undefined,
  };
}

/** What a person is to do so that the servers have the same settings; empty where they do. */
function toldOfShared(
  { places }: MachineContext,
  shared: {
    readonly before: SharedSettings;
    readonly next: SharedSettings;
    readonly config: ConfigInput;
    readonly ca: string | undefined;
  },
): string {
  const { before, next, config, ca } = shared;
  const others = otherThanShared(config, next, ca);
  return (
    (Bun.deepEquals(before, next)
      ? ''
      : 'Servers that join later get what was given here. Give it to "install" on the others, too.\n') +
    (others.length === 0
      ? ''
      : `In ${places.configFile} this server has its own ${others.join(', ')}: that counts here. Servers that ` +
        'join later get what the servers share. To have that here as well, delete it there and run this again.\n')
  );
}
