import { AgentError } from '../core/errors.ts';
import { openInventory } from '../host/inventory.ts';
import { findServer } from '../host/join-server.ts';
import { joiningConfig } from '../host/k3s-config.ts';
import type { K3sRole } from '../host/paths.ts';
import { decodeJoinToken, JOIN_TOKEN_LIMIT_BYTES } from '../protocol/join-token.ts';
import { machineSteps } from './agent-steps.ts';
import type { CliContext } from './context.ts';
import type { SubcommandArgs } from './define-subcommand.ts';
import { loadEffectiveConfig } from './effective-config.ts';
import { givenSettings, preflight, type SetupOptions, setUpMachine } from './machine-setup.ts';

type Flags = SubcommandArgs['flags'];

interface Target {
  readonly role: K3sRole;
  readonly serverUrl: string;
  /** What k3s shows to the server: secret. */
  readonly k3sToken: string;
}

/** `join`: everything is in the token. */
export async function joinWithToken(
  context: CliContext,
  flags: Flags,
  options: SetupOptions,
): Promise<number> {
  const content = decodeJoinToken(await readToken(context, flags));
  if (content.expires !== null && Date.parse(content.expires) <= context.clock.now().getTime()) {
    throw new AgentError('JOIN_TOKEN_EXPIRED', `The join token ended at ${content.expires}`, {
      hint: 'Make a new one on a server: sudo pipeops-agent token create',
    });
  }
  return join(context, flags, options, async () => {
    const progress = await context.progress('Find a server of the cluster');
    try {
      const serverUrl = await findServer(context, content.servers, content.ca);
      progress.done(serverUrl);
      return { role: content.role, serverUrl, k3sToken: content.token };
    } catch (thrown) {
      progress.fail();
      throw thrown;
    }
  });
}

/** `NODE_TYPE=agent K3S_URL=… K3S_TOKEN=…`, the way that k3s' own users know. */
export async function joinWithK3sVariables(
  context: CliContext,
  flags: Flags,
  options: SetupOptions,
): Promise<number> {
  const serverUrl = context.env['K3S_URL'] ?? '';
  const k3sToken = context.env['K3S_TOKEN'] ?? '';
  if (!URL.canParse(serverUrl) || !serverUrl.startsWith('https://') || k3sToken === '') {
    throw new AgentError('USAGE', 'NODE_TYPE=agent needs K3S_URL=https://… and K3S_TOKEN', {
      hint: 'Set both, or use a join token: sudo pipeops-agent join --token-file FILE',
    });
  }
  return join(context, flags, options, async () => ({ role: 'agent', serverUrl, k3sToken }));
}

async function join(
  context: CliContext,
  flags: Flags,
  options: SetupOptions,
  findTarget: () => Promise<Target>,
): Promise<number> {
  const loaded = await loadEffectiveConfig(context, flags);
  const { config } = loaded;
  const inventory = await openInventory(context);
  const target = await findTarget();
  await preflight(context, inventory, target.role, [config.http.port]);
  const { traefik } = config.k3s;
  const given = givenSettings(loaded);
  const steps = machineSteps(context, inventory, {
    k3s: {
      role: target.role,
      version: config.k3s.version,
      mirror: config.k3s.mirror,
      config: joiningConfig(target.role, target.serverUrl, { traefik }),
      joinToken: target.k3sToken,
      hostname: context.hostname,
    },
    config: { ...given, agent: { ...given.agent, role: 'node' } },
    port: config.http.port,
    policy: undefined,
    controlPlaneCa: undefined,
    controlPlaneToken: undefined,
    proxyCredentials: undefined,
  });
  const facts = { role: target.role, httpPort: config.http.port } as const;
  return setUpMachine(context, steps, { ...facts, clusterName: null, controlPlane: null }, options);
}

async function readToken(context: CliContext, flags: Flags): Promise<string> {
  const file = flags['token-file'];
  const token = flags['token'];
  if (token === '-' || file === '-') {
    return context.io.readStdin(JOIN_TOKEN_LIMIT_BYTES);
  }
  if (typeof file === 'string') {
    const text = await context.files.readText(file);
    if (text === undefined) {
      throw new AgentError('USAGE', `There is no file ${file}`, {
        hint: 'Write the join token into it, or check the path',
      });
    }
    return text;
  }
  if (typeof token === 'string') {
    context.io.stderr(
      'pipeops-agent: warning: others on this machine can read a token on the command line; ' +
        'use --token-file\n',
    );
    return token;
  }
  const answer = await context.io.askSecret('Join token: ');
  if (answer === undefined || answer.trim() === '') {
    throw new AgentError('USAGE', '"join" needs a join token', {
      hint: 'Make one on a server with "pipeops-agent token create", then give --token-file FILE',
    });
  }
  return answer;
}
