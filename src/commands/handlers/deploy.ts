import type { V1Container, V1Deployment, V1Namespace, V1Service } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { followRollout, type RolloutOutcome } from '../../kubernetes/rollout.ts';
import { DeployData, DeployPayload } from '../../protocol/commands.ts';
import { type CommandContext, commandHandler } from '../handler.ts';
import { ROLLOUT_MARGIN_MS, rolloutFailure } from '../rollout-failure.ts';

/** Marks what the agent made, and by which command: a repeated run is recognised by it. */
const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'pipeops-agent' };
export const COMMAND_ID_ANNOTATION = 'pipeops.io/command-id';

/**
 * deploy: an image as a Deployment, with a ClusterIP Service when it has ports. Server-side apply
 * makes a second run harmless, so it is rerun after a crash.
 */
export const deployCommand = commandHandler({
  type: 'deploy',
  payload: DeployPayload,
  data: DeployData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  lane: (payload) => `ns/${payload.namespace}`,
  timeoutMs: (payload) => payload.wait_seconds * 1_000 + ROLLOUT_MARGIN_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    await ensureNamespace(context, payload.namespace);
    await context.kubernetes.apply(
      `/apis/apps/v1/namespaces/${payload.namespace}/deployments/${payload.name}`,
      deploymentOf(payload, context.commandId),
      context.signal,
    );
    const address = await applyService(payload, context);
    const outcome = await followRollout(
      { clock: context.clock, client: context.kubernetes },
      payload,
      payload.wait_seconds * 1_000,
      (state) => context.log.info('rollout', { ready: state.ready, wanted: state.wanted }),
      context.signal,
    );
    return outcomeOf(payload, outcome, address);
  },
});

function outcomeOf(payload: DeployPayload, outcome: RolloutOutcome, address: string | undefined) {
  const data = {
    revision: outcome.revision,
    replicas_wanted: outcome.wanted,
    replicas_ready: outcome.ready,
    ...(address === undefined ? {} : { service_address: address }),
    ...(outcome.reasons.length === 0 ? {} : { reasons: [...outcome.reasons] }),
  };
  const output = `${payload.namespace}/${payload.name}: ${outcome.ready} of ${outcome.wanted} replicas ready\n`;
  // Who does not want to wait does not want to hear that it is not ready yet either.
  if (outcome.complete || payload.wait_seconds === 0) {
    return { output, data };
  }
  return { output, data, failure: rolloutFailure(payload, outcome) };
}

async function ensureNamespace(context: CommandContext, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${name}`;
  if ((await context.kubernetes.find(path, context.signal)) !== undefined) {
    return;
  }
  const namespace: V1Namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: MANAGED_BY },
  };
  try {
    await context.kubernetes.create('/api/v1/namespaces', namespace, context.signal);
  } catch (thrown) {
    // Somebody was faster: it is there, which is all that was wanted.
    if (!(thrown instanceof AgentError && thrown.details?.['status'] === 409)) {
      throw thrown;
    }
  }
}

function deploymentOf(payload: DeployPayload, commandId: string): V1Deployment {
  const selector = { app: payload.name };
  const labels = { ...payload.labels, ...MANAGED_BY, ...selector };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: payload.name,
      namespace: payload.namespace,
      labels,
      annotations: { ...payload.annotations, [COMMAND_ID_ANNOTATION]: commandId },
    },
    spec: {
      replicas: payload.replicas,
      selector: { matchLabels: selector },
      template: {
        metadata: { labels, annotations: payload.annotations },
        spec: { containers: [containerOf(payload)] },
      },
    },
  };
}

function containerOf(payload: DeployPayload): V1Container {
  const { limits, requests } = payload.resources;
  return {
    name: payload.name,
    image: payload.image,
    env: Object.entries(payload.environment).map(([name, value]) => ({ name, value })),
    ports: payload.ports.map((port) => ({
      containerPort: port.container_port,
      protocol: port.protocol,
      ...(port.name === undefined ? {} : { name: port.name }),
    })),
    resources: {
      ...(limits === undefined ? {} : { limits: withoutAbsent(limits) }),
      ...(requests === undefined ? {} : { requests: withoutAbsent(requests) }),
    },
    ...(payload.command === undefined ? {} : { command: payload.command }),
    ...(payload.args === undefined ? {} : { args: payload.args }),
  };
}

function withoutAbsent(quantities: {
  readonly cpu?: string | undefined;
  readonly memory?: string | undefined;
}): Record<string, string> {
  const { cpu, memory } = quantities;
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  };
}

/** @returns `<cluster IP>:<port>`, undefined without ports */
async function applyService(
  payload: DeployPayload,
  context: CommandContext,
): Promise<string | undefined> {
  const first = payload.ports[0];
  if (first === undefined) {
    return undefined;
  }
  const selector = { app: payload.name };
  const service: V1Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: payload.name,
      namespace: payload.namespace,
      labels: { ...payload.labels, ...MANAGED_BY, ...selector },
      annotations: { [COMMAND_ID_ANNOTATION]: context.commandId },
    },
    spec: {
      selector,
      ports: payload.ports.map((port) => ({
        // Several ports need names; this one is unique in the Service.
        name: port.name ?? `${port.protocol.toLowerCase()}-${port.container_port}`,
        port: port.container_port,
        targetPort: port.container_port,
        protocol: port.protocol,
      })),
    },
  };
  const applied = await context.kubernetes.apply(
    `/api/v1/namespaces/${payload.namespace}/services/${payload.name}`,
    service,
    context.signal,
  );
  return `${applied.spec?.clusterIP ?? ''}:${first.container_port}`;
}
