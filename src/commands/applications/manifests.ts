/** The manifests of an application: what deploy and update apply. */
import type { V1Deployment, V1Ingress, V1Probe, V1Service } from '@kubernetes/client-node';
import { KINDS, typeOf } from '../../core/kinds.ts';
import { COMMAND_ID_ANNOTATION, MANAGED_BY, ROUTED } from '../../core/labels.ts';
import { literalVariable } from '../../kubernetes/deployments/literal-variable.ts';
import type { DeployPayload, Port, UpdatePayload } from '../../protocol/commands/deploy.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import type { Probe } from '../../protocol/commands/probes.ts';

/**
 * Without a readiness probe a pod counts as ready once it has run this long. Otherwise a pod that
 * ends at once would count as ready for a moment.
 */
const MIN_READY_SECONDS = 3;

type Json = Record<string, unknown>;
export type Labels = Readonly<Record<string, string>>;

/** The fields that are asked for: each may be absent. */
type Application = Omit<UpdatePayload, 'name' | 'namespace'>;

/** Labels of all objects of an application; the selector is one of them. */
function applicationLabels(name: string, labels: Labels): Labels {
  return { ...labels, ...MANAGED_BY, ...selectorOf(name) };
}

function selectorOf(name: string): Labels {
  return { app: name };
}

/** A new Deployment. */
export function deploymentOf(payload: DeployPayload, commandId: string): V1Deployment {
  const { name, namespace, replicas, annotations = {}, probes = {} } = payload;
  const labels = applicationLabels(name, payload.labels ?? {});
  return {
    ...typeOf(KINDS.deployment),
    metadata: {
      name,
      namespace,
      labels: { ...labels },
      annotations: { ...annotations, [COMMAND_ID_ANNOTATION]: commandId },
    },
    spec: {
      // Not given, nobody owns it: Kubernetes takes 1, and whoever scales it later owns the number.
      ...(replicas === undefined ? {} : { replicas }),
      ...paceFields({ ...payload, probes }),
      selector: { matchLabels: { ...selectorOf(name) } },
      template: {
        metadata: {
          labels: { ...labels },
          ...(isEmpty(annotations) ? {} : { annotations }),
        },
        spec: {
          ...podFields(payload),
          containers: [{ name, ...containerFields(payload) }],
        },
      },
    },
  };
}

/** When a pod counts as ready, which follows from the probes; undefined means a field to remove. */
export function paceFields({ probes }: Application): Json {
  if (probes === undefined) {
    return {};
  }
  return { minReadySeconds: probes.readiness === undefined ? MIN_READY_SECONDS : undefined };
}

/** Fields of the pod that are given; undefined means a field to remove. */
export function podFields({ image_pull_secret: secret }: Application): Json {
  if (secret === undefined) {
    return {};
  }
  return { imagePullSecrets: secret === null ? undefined : [{ name: secret }] };
}

/**
 * Fields of the container that are given; undefined means a field to remove. Empty lists and maps
 * are left out: applied, they would claim entries that others put there.
 */
export function containerFields(application: Application): Json {
  const { image, environment, ports, resources, command, args, probes } = application;
  return {
    ...(image === undefined ? {} : { image }),
    ...(environment === undefined ? {} : { env: environmentOf(environment) }),
    ...(ports === undefined ? {} : { ports: unlessEmpty(ports.map(containerPortOf)) }),
    ...(resources === undefined ? {} : { resources: resourcesOf(resources) }),
    ...(command === undefined ? {} : { command: unlessEmpty(command) }),
    ...(args === undefined ? {} : { args: unlessEmpty(args) }),
    ...(probes === undefined
      ? {}
      : {
          livenessProbe: probeOf(probes.liveness),
          readinessProbe: probeOf(probes.readiness),
          startupProbe: probeOf(probes.startup),
        }),
  };
}

function environmentOf(environment: Labels) {
  return unlessEmpty(
    Object.entries(environment).map(([name, value]) => ({ name, value: literalVariable(value) })),
  );
}

function resourcesOf({ limits = {}, requests = {} }: NonNullable<Application['resources']>) {
  const given = Object.entries({ limits, requests }).filter(
    ([, quantities]) => Object.keys(quantities).length > 0,
  );
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

function containerPortOf({ name, container_port, protocol }: Port) {
  return { containerPort: container_port, protocol, ...(name === undefined ? {} : { name }) };
}

function probeOf(probe: Probe | undefined): V1Probe | undefined {
  if (probe === undefined) {
    return undefined;
  }
  const { http, tcp, exec } = probe;
  return withoutAbsent({
    httpGet: http,
    tcpSocket: tcp,
    exec,
    initialDelaySeconds: probe.initial_delay_seconds,
    periodSeconds: probe.period_seconds,
    timeoutSeconds: probe.timeout_seconds,
    successThreshold: probe.success_threshold,
    failureThreshold: probe.failure_threshold,
  });
}

/**
 * A ClusterIP Service with the ports of the container.
 * @param selector labels of its pods, when deploy did not choose them
 */
export function serviceOf(
  target: DeploymentTarget,
  {
    ports,
    labels,
    selector = selectorOf(target.name),
  }: { readonly ports: readonly Port[]; readonly labels: Labels; readonly selector?: Labels },
  commandId: string,
): V1Service {
  return {
    ...typeOf(KINDS.service),
    metadata: {
      name: target.name,
      namespace: target.namespace,
      labels: { ...applicationLabels(target.name, labels) },
      annotations: { [COMMAND_ID_ANNOTATION]: commandId },
    },
    spec: {
      selector: { ...selector },
      ports: ports.map((port) => ({
        // Several ports need names; this one is unique in the Service.
        name: port.name ?? `${port.protocol.toLowerCase()}-${port.container_port}`,
        port: port.container_port,
        targetPort: port.container_port,
        protocol: port.protocol,
      })),
    },
  };
}

/** All hosts lead to one port of the Service. The cluster's default class serves it. */
export function ingressOf(
  target: DeploymentTarget,
  given: { readonly domains: readonly string[]; readonly labels: Labels; readonly port: number },
  commandId: string,
): V1Ingress {
  const { domains, labels, port } = given;
  const backend = { service: { name: target.name, port: { number: port } } };
  return {
    ...typeOf(KINDS.ingress),
    metadata: {
      name: target.name,
      namespace: target.namespace,
      labels: { ...applicationLabels(target.name, labels), ...ROUTED },
      annotations: { [COMMAND_ID_ANNOTATION]: commandId },
    },
    spec: {
      rules: domains.map((host) => ({
        host,
        http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
      })),
    },
  };
}

export function isEmpty(map: object): boolean {
  return Object.keys(map).length === 0;
}

function unlessEmpty<T>(list: readonly T[]): T[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

function withoutAbsent(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
