import { AgentError } from '../core/errors.ts';
import { K3S_NODE_TOKEN_FILE } from '../core/k3s-places.ts';
import { withoutEnd } from '../core/text/without-end.ts';
import { BUILD } from '../core/version.ts';
import { checkServer, findServer } from '../host/cluster/join-server.ts';
import {
  checkSameCluster,
  checkSameServer,
  isJoinedWith,
  readJoined,
} from '../host/cluster/joined-worker.ts';
import { openInventory } from '../host/engine/inventory.ts';
import { joiningConfig } from '../host/k3s/config.ts';
import { decodeJoinToken } from '../protocol/secrets/join-token.ts';
import { misplacedSecret } from '../protocol/secrets/misplaced.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig, tellWarnings } from './effective-config.ts';
import { stateNow } from './finished.ts';
import { NO_MORE_SERVERS } from './no-more-servers.ts';
import { openDownloads, readCa } from './outbound.ts';
import { preflight } from './preflight.ts';
import { machineResources } from './resources.ts';
import {
  k3sPlan,
  type SetUpOptions,
  type SetUpOutcome,
  setUpMachine,
  workerSettings,
} from './set-up.ts';

/** What a person wants of a worker. */
export interface WorkerWishes extends SetUpOptions {
  /** Settings that were given as flags. */
  readonly flags: ConfigFlags;
}

interface Target {
  readonly serverUrl: string;
  /** What k3s shows to the server: secret. */
  readonly k3sToken: string;
}

/** `join`: everything is in the token. */
export async function joinWithToken(
  context: MachineContext,
  token: string,
  wishes: WorkerWishes,
): Promise<SetUpOutcome> {
  const content = decodeJoinToken(token);
  if (content.role === 'server') {
    throw new AgentError('JOIN_TOKEN_INVALID', `This token is of a server: ${NO_MORE_SERVERS}`, {
      hint: 'Join as a worker; on the server: sudo pipeops-agent token create',
    });
  }
  await checkSameCluster(context, content.ca);
  const joined = await isJoinedWith(context, content.token, context.hostname);
  const over =
    content.expires !== null && Date.parse(content.expires) <= context.clock.now().getTime();
  if (over && !joined) {
    throw new AgentError('JOIN_TOKEN_EXPIRED', `The join token ended at ${content.expires}`, {
      hint: 'Make a new one on a server: sudo pipeops-agent token create',
    });
  }
  return join(context, wishes, async () => ({
    serverUrl: await findServer(
      context,
      content.servers,
      content.ca,
      joined ? undefined : content.token,
    ),
    k3sToken: content.token,
  }));
}

/** `NODE_TYPE=agent K3S_URL=… K3S_TOKEN=…`, the way that k3s' own users know. */
export async function joinWithK3sVariables(
  context: MachineContext,
  wishes: WorkerWishes,
): Promise<SetUpOutcome> {
  const serverUrl = context.env['K3S_URL'] ?? '';
  const k3sToken = context.env['K3S_TOKEN']?.trim() ?? '';
  if (!URL.canParse(serverUrl) || !serverUrl.startsWith('https://') || k3sToken === '') {
    throw new AgentError('USAGE', 'NODE_TYPE=agent needs K3S_URL=https://… and K3S_TOKEN', {
      hint: 'Set both, or use a join token: sudo pipeops-agent join --token-file FILE',
    });
  }
  const misplaced = misplacedSecret('k3s-token', k3sToken);
  if (misplaced !== undefined) {
    throw misplaced;
  }
  if (!/^[!-~]+$/.test(k3sToken)) {
    throw new AgentError('JOIN_TOKEN_INVALID', 'K3S_TOKEN is not one word of plain characters', {
      hint: `Copy it from ${K3S_NODE_TOKEN_FILE} of the server`,
    });
  }
  return join(context, wishes, async () => {
    const server = withoutEnd(serverUrl, '/');
    await checkSameServer(context, server, k3sToken);
    if (!(await isJoinedWith(context, k3sToken, context.hostname))) {
      await checkServer(context, server, k3sToken);
    }
    return { serverUrl, k3sToken };
  });
}

/**
 * `install` on a machine that is a worker: it stays one, in the cluster that it joined, with this
 * version of the agent.
 * @throws AgentError CLUSTER_EXISTS where a join has not come to its end
 */
export async function upgradeWorker(
  context: MachineContext,
  wishes: WorkerWishes,
): Promise<SetUpOutcome> {
  const joined = await readJoined(context);
  const inventory = await openInventory(context);
  const isFinished = (await stateNow(context, inventory)) === 'finished';
  if (joined === undefined || !isFinished) {
    throw new AgentError('CLUSTER_EXISTS', 'This machine began to join a cluster as a worker', {
      hint:
        'To go on: sudo pipeops-agent join --token-file FILE. ' +
        'To make it a server instead, first: sudo pipeops-agent join --undo',
    });
  }
  wishes.notice(
    `This machine is a worker and stays one: its agent becomes version ${BUILD.version}. ` +
      'It needs no token of a control plane.\n',
  );
  return join(context, wishes, async () => joined);
}

async function join(
  context: MachineContext,
  wishes: WorkerWishes,
  findTarget: () => Promise<Target>,
): Promise<SetUpOutcome> {
  const loaded = await loadEffectiveConfig(context, wishes.flags);
  const { config } = loaded;
  wishes.notice(tellWarnings(context, loaded, wishes.flags));
  const inventory = await openInventory(context);
  const target = await withProgress(context, findTarget);
  const k3s = k3sPlan(context, loaded, {
    role: 'agent',
    config: joiningConfig(context.places, target.serverUrl, config.k3s),
    joinToken: target.k3sToken,
  });
  const agentPorts = [config.http.port];
  await preflight(context, { inventory, settings: loaded, k3s, agentPorts }, wishes.notice);
  const downloads = await openDownloads(context, config, await readCa(context, config));
  const resources = machineResources(context, inventory, {
    k3s: { ...k3s, authorities: downloads.authorities, origin: downloads.origin },
    adoption: undefined,
    config: workerSettings(loaded),
    expected: { role: 'node', clusterName: null, controlPlane: null },
    policy: undefined,
    controlPlaneCa: undefined,
    controlPlaneToken: undefined,
    proxyCredentials: undefined,
  });
  const facts = { role: 'agent', nodeName: k3s.nodeName, agentPorts } as const;
  return setUpMachine(
    context,
    inventory,
    resources,
    { ...facts, clusterName: null, controlPlane: null },
    wishes,
  );
}

async function withProgress(
  context: MachineContext,
  findTarget: () => Promise<Target>,
): Promise<Target> {
  const progress = await context.progress('Find a server of the cluster');
  try {
    const target = await findTarget();
    progress.done(target.serverUrl);
    return target;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
