/** What update applies: what the agent has applied so far, with the given fields replaced. */
import type { V1Deployment, V1Ingress, V1Service } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import { appliedDeployment, manifestIn } from '../kubernetes/change-deployment.ts';
import type { Manifest } from '../kubernetes/client.ts';
import type { UpdatePayload } from '../protocol/commands/deploy.ts';
import type { ApplicationPlan } from './application.ts';
import {
  containerFields,
  ingressOf,
  isEmpty,
  podFields,
  serviceOf,
} from './application-manifests.ts';
import type { CommandContext } from './handler.ts';
import { applicationPaths, COMMAND_ID_ANNOTATION, isManaged } from './managed-objects.ts';

/** Labels that belong to the agent, whatever the user wants: `managed-by`, and the selector. */
const OWN_LABELS = ['app.kubernetes.io/managed-by', 'app'];

export async function planUpdate(
  context: CommandContext,
  payload: UpdatePayload,
  deployment: V1Deployment,
): Promise<ApplicationPlan> {
  const parts = await planParts(context, payload, deployment);
  return { deployment: changedDeployment(payload, deployment, context.commandId), ...parts };
}

function changedDeployment(
  payload: UpdatePayload,
  deployment: V1Deployment,
  commandId: string,
): Manifest {
  const applied = appliedDeployment(deployment);
  const template = manifestIn(applied.spec, 'template');
  const podMetadata = changedMetadata(payload, manifestIn(template, 'metadata'), {});
  return {
    ...applied,
    metadata: {
      ...changedMetadata(payload, applied.metadata, { [COMMAND_ID_ANNOTATION]: commandId }),
      // One that was deleted meanwhile is not made anew.
      uid: deployment.metadata?.uid,
    },
    spec: {
      ...applied.spec,
      ...(payload.replicas === undefined ? {} : { replicas: payload.replicas }),
      template: {
        ...template,
        ...(isEmpty(podMetadata) ? {} : { metadata: podMetadata }),
        spec: changedPod(payload, deployment, manifestIn(template, 'spec')),
      },
    },
  };
}

function changedMetadata(payload: UpdatePayload, metadata: Manifest, always: Manifest): Manifest {
  const { labels: _labels, annotations: _annotations, ...rest } = metadata;
  const own = Object.entries(manifestIn(metadata, 'labels'));
  const kept = Object.fromEntries(own.filter(([name]) => OWN_LABELS.includes(name)));
  const labels =
    payload.labels === undefined ? Object.fromEntries(own) : { ...payload.labels, ...kept };
  const annotations = {
    ...(payload.annotations ?? manifestIn(metadata, 'annotations')),
    ...always,
  };
  return {
    ...rest,
    ...(isEmpty(labels) ? {} : { labels }),
    ...(isEmpty(annotations) ? {} : { annotations }),
  };
}

/** Containers are told apart by name: of the others nothing is said, so nothing changes. */
function changedPod(payload: UpdatePayload, deployment: V1Deployment, spec: Manifest): Manifest {
  const name = containerName(payload, deployment);
  const applied = Array.isArray(spec['containers']) ? spec['containers'] : [];
  const others = applied.filter((each) => each.name !== name);
  const own = applied.find((each) => each.name === name) ?? { name };
  const changed = { ...own, ...containerFields(payload) };
  return { ...spec, ...podFields(payload), containers: [...others, changed] };
}

/** deploy names it as the Deployment; in one of another making the first is meant. */
function containerName({ name }: UpdatePayload, deployment: V1Deployment): string {
  const containers = deployment.spec?.template.spec?.containers ?? [];
  return (containers.find((each) => each.name === name) ?? containers[0])?.name ?? name;
}

async function planParts(
  context: CommandContext,
  payload: UpdatePayload,
  deployment: V1Deployment,
): Promise<Omit<ApplicationPlan, 'deployment'>> {
  if (payload.ports === undefined && payload.domains === undefined) {
    return { service: 'keep', ingress: 'keep' };
  }
  const { kubernetes, signal, commandId } = context;
  const paths = applicationPaths(payload);
  const service = await kubernetes.find<V1Service>(paths.service, signal);
  const ingress = await kubernetes.find<V1Ingress>(paths.ingress, signal);
  const labels = payload.labels ?? userLabels(service);
  const port =
    payload.ports === undefined
      ? service?.spec?.ports?.[0]?.port
      : payload.ports[0]?.container_port;
  const domains = payload.domains ?? (isManagedIngress(ingress) ? hostsOf(ingress) : []);
  if (domains.length > 0 && port === undefined) {
    const problem = 'domains: need a port to lead to';
    throw new AgentError('COMMAND_INVALID', `Cannot run "update": ${problem}`, {
      hint: 'Give it ports, or take the domains away too',
      details: { problems: [problem] },
    });
  }
  return {
    service: plannedService(payload, deployment, labels, commandId),
    ingress:
      port === undefined || domains.length === 0
        ? 'none'
        : ingressOf(payload, { domains, labels, port }, commandId),
  };
}

function plannedService(
  payload: UpdatePayload,
  deployment: V1Deployment,
  labels: Readonly<Record<string, string>>,
  commandId: string,
): ApplicationPlan['service'] {
  if (payload.ports === undefined) {
    return 'keep';
  }
  if (payload.ports.length === 0) {
    return 'none';
  }
  const selector = deployment.spec?.selector.matchLabels;
  const parts = { ports: payload.ports, labels: { ...labels } };
  return serviceOf(payload, selector === undefined ? parts : { ...parts, selector }, commandId);
}

function userLabels(service: V1Service | undefined): Record<string, string> {
  const all = Object.entries(service?.metadata?.labels ?? {});
  return Object.fromEntries(all.filter(([name]) => !OWN_LABELS.includes(name)));
}

function isManagedIngress(ingress: V1Ingress | undefined): ingress is V1Ingress {
  return ingress !== undefined && isManaged(ingress);
}

function hostsOf(ingress: V1Ingress): string[] {
  return (ingress.spec?.rules ?? []).flatMap(({ host }) => (host === undefined ? [] : [host]));
}
