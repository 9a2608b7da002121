/**
 * What deploy and update apply. For an existing application that is what the agent has applied so
 * far, with the given fields replaced. Fields that are not given stay as they are, whoever set
 * them.
 */
import type { V1Deployment, V1Ingress, V1Service } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, typeOf } from '../../core/kinds.ts';
import { COMMAND_ID_ANNOTATION, MANAGED_BY } from '../../core/labels.ts';
import type { Manifest } from '../../kubernetes/api/client.ts';
import { appliedFields } from '../../kubernetes/deployments/applied-fields.ts';
import { appliedDeployment, manifestIn } from '../../kubernetes/deployments/change.ts';
import type { DeployPayload, UpdatePayload } from '../../protocol/commands/deploy.ts';
import type { CommandContext } from '../engine/handler.ts';
import { applicationPaths, isManaged } from './managed-objects.ts';
import {
  containerFields,
  deploymentOf,
  ingressOf,
  isEmpty,
  type Labels,
  paceFields,
  podFields,
  serviceOf,
} from './manifests.ts';

/** What to apply. `none`: there shall be no such object; `keep`: it stays as it is. */
export interface ApplicationPlan {
  /** The namespace may have to be made first. */
  readonly makesNamespace: boolean;
  readonly deployment: V1Deployment | Manifest;
  readonly service: V1Service | Manifest | 'none' | 'keep';
  readonly ingress: V1Ingress | 'none' | 'keep';
}

/** Labels that belong to the agent, whatever the user wants: `managed-by`, and the selector. */
const OWN_LABELS: readonly string[] = [...Object.keys(MANAGED_BY), 'app'];

/** deploy: makes the application, or changes the one that is there and takes it over. */
export async function planDeploy(
  context: CommandContext,
  payload: DeployPayload,
): Promise<ApplicationPlan> {
  const { kubernetes, signal, commandId } = context;
  const path = applicationPaths(payload).deployment;
  const there = await kubernetes.find<V1Deployment>(path, signal);
  const parts = await planParts(context, payload, there);
  if (there === undefined) {
    return { makesNamespace: true, deployment: deploymentOf(payload, commandId), ...parts };
  }
  const labels = { ...MANAGED_BY, ...there.spec?.selector.matchLabels };
  const deployment = changedDeployment(payload, there, labels, commandId);
  return { makesNamespace: false, deployment, ...parts };
}

/** update: changes an existing application, and nothing that the payload does not name. */
export async function planUpdate(
  context: CommandContext,
  payload: UpdatePayload,
): Promise<ApplicationPlan> {
  const { kubernetes, signal, commandId } = context;
  const path = applicationPaths(payload).deployment;
  const there = await kubernetes.get<V1Deployment>(path, signal);
  const parts = await planParts(context, payload, there);
  const deployment = changedDeployment(payload, there, {}, commandId);
  return { makesNamespace: false, deployment, ...parts };
}

/** @param always labels that it gets in any case */
function changedDeployment(
  payload: UpdatePayload,
  deployment: V1Deployment,
  always: Labels,
  commandId: string,
): Manifest {
  const applied = appliedDeployment(deployment);
  const template = manifestIn(applied.spec, 'template');
  const podMetadata = changedMetadata(manifestIn(template, 'metadata'), payload, always, {});
  const annotations = { [COMMAND_ID_ANNOTATION]: commandId };
  return {
    ...applied,
    metadata: {
      ...changedMetadata(applied.metadata, payload, always, annotations),
      // A Deployment that was deleted meanwhile is not made anew.
      uid: deployment.metadata?.uid,
    },
    spec: {
      ...applied.spec,
      ...(payload.replicas === undefined ? {} : { replicas: payload.replicas }),
      ...(isManaged(deployment) ? paceFields(payload) : {}),
      template: {
        ...template,
        ...(isEmpty(podMetadata) ? {} : { metadata: podMetadata }),
        spec: changedPod(payload, deployment, manifestIn(template, 'spec')),
      },
    },
  };
}

function changedMetadata(
  metadata: Manifest,
  wishes: Pick<UpdatePayload, 'labels' | 'annotations'>,
  alwaysLabels: Labels,
  alwaysAnnotations: Labels,
): Manifest {
  const { labels: _labels, annotations: _annotations, ...rest } = metadata;
  const applied = Object.entries(manifestIn(metadata, 'labels'));
  const own = applied.filter(([name]) => OWN_LABELS.includes(name));
  const users = wishes.labels ?? Object.fromEntries(applied);
  const labels = { ...users, ...Object.fromEntries(own), ...alwaysLabels };
  const annotations = {
    ...(wishes.annotations ?? manifestIn(metadata, 'annotations')),
    ...alwaysAnnotations,
  };
  return {
    ...rest,
    ...(isEmpty(labels) ? {} : { labels }),
    ...(isEmpty(annotations) ? {} : { annotations }),
  };
}

/** Containers are told apart by name: the others are not mentioned, so they do not change. */
function changedPod(payload: UpdatePayload, deployment: V1Deployment, spec: Manifest): Manifest {
  const name = containerName(payload, deployment);
  const applied = Array.isArray(spec['containers']) ? spec['containers'] : [];
  const others = applied.filter((each) => each.name !== name);
  const own = applied.find((each) => each.name === name) ?? { name };
  const changed = { ...own, ...containerFields(payload) };
  return { ...spec, ...podFields(payload), containers: [...others, changed] };
}

/**
 * deploy gives it the Deployment's name; in a Deployment made elsewhere the first container is
 * meant.
 */
function containerName({ name }: UpdatePayload, deployment: V1Deployment): string {
  const containers = deployment.spec?.template.spec?.containers ?? [];
  return (containers.find((each) => each.name === name) ?? containers[0])?.name ?? name;
}

async function planParts(
  context: CommandContext,
  payload: UpdatePayload,
  deployment: V1Deployment | undefined,
): Promise<Pick<ApplicationPlan, 'service' | 'ingress'>> {
  const { ports, domains } = payload;
  if (ports === undefined && domains === undefined && payload.labels === undefined) {
    return { service: 'keep', ingress: 'keep' };
  }
  const { kubernetes, signal, commandId } = context;
  const paths = applicationPaths(payload);
  const service = await kubernetes.find<V1Service>(paths.service, signal);
  const ingress = await kubernetes.find<V1Ingress>(paths.ingress, signal);
  const labels = payload.labels ?? userLabels(service ?? deployment);
  const port = ports === undefined ? service?.spec?.ports?.[0]?.port : ports[0]?.container_port;
  return {
    service: planService(payload, { service, deployment, labels }, commandId),
    ingress: planIngress(payload, { ingress, labels, port }, commandId),
  };
}

function planService(
  payload: UpdatePayload,
  given: {
    readonly service: V1Service | undefined;
    readonly deployment: V1Deployment | undefined;
    readonly labels: Record<string, string>;
  },
  commandId: string,
): ApplicationPlan['service'] {
  const { service, deployment, labels } = given;
  const { ports } = payload;
  if (ports === undefined) {
    const relabel = payload.labels !== undefined && service !== undefined && isManaged(service);
    return relabel ? relabelled(service, labels, commandId) : 'keep';
  }
  if (ports.length === 0) {
    return 'none';
  }
  const selector = deployment?.spec?.selector.matchLabels;
  const parts = { ports, labels };
  return serviceOf(payload, selector === undefined ? parts : { ...parts, selector }, commandId);
}

function relabelled(
  service: V1Service,
  labels: Record<string, string>,
  commandId: string,
): Manifest {
  const applied = appliedFields({ ...typeOf(KINDS.service), ...service });
  const annotations = { [COMMAND_ID_ANNOTATION]: commandId };
  const metadata = changedMetadata(manifestIn(applied, 'metadata'), { labels }, {}, annotations);
  return { ...applied, metadata: { ...metadata, uid: service.metadata?.uid } };
}

/**
 * All its hosts lead to the first port: the Ingress follows when that port changes, and goes when
 * there is none.
 */
function planIngress(
  payload: UpdatePayload,
  given: {
    readonly ingress: V1Ingress | undefined;
    readonly labels: Record<string, string>;
    readonly port: number | undefined;
  },
  commandId: string,
): ApplicationPlan['ingress'] {
  const { ingress, labels, port } = given;
  const hosts = ingress !== undefined && isManaged(ingress) ? hostsOf(ingress) : [];
  const domains = payload.domains ?? (payload.ports?.length === 0 ? [] : hosts);
  if (domains.length === 0) {
    return payload.domains === undefined && payload.ports?.length !== 0 ? 'keep' : 'none';
  }
  if (port === undefined) {
    const problem = 'domains: need a port to lead to';
    throw new AgentError('COMMAND_INVALID', `"${payload.name}" cannot be reached: ${problem}`, {
      hint: 'Give it ports, or take the domains away too',
      details: { problems: [problem] },
    });
  }
  return ingressOf(payload, { domains, labels, port }, commandId);
}

function userLabels(
  object: { readonly metadata?: { readonly labels?: Labels } } | undefined,
): Record<string, string> {
  const all = Object.entries(object?.metadata?.labels ?? {});
  return Object.fromEntries(all.filter(([name]) => !OWN_LABELS.includes(name)));
}

function hostsOf(ingress: V1Ingress): string[] {
  return (ingress.spec?.rules ?? []).flatMap(({ host }) => (host === undefined ? [] : [host]));
}
