/**
 * What a pod may not ask for because it would be root on the node: the level `baseline` of
 * Kubernetes' Pod Security Standards (kubernetes.io, "Pod Security Standards"). The cluster checks
 * the same once more, in the agent's admission policy (kubernetes/admission-policy.ts), so that it
 * holds for the proxy too, whatever the encoding of a body.
 */

type Json = Readonly<Record<string, unknown>>;

/** Capabilities that a container may add. */
export const BASELINE_CAPABILITIES: readonly string[] = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

const NAME_SHOWN_MAX = 64;
const HOST_FIELDS = ['hostNetwork', 'hostPID', 'hostIPC'];
const CONTAINER_FIELDS = ['containers', 'initContainers', 'ephemeralContainers'];

/** @returns what is not allowed, as the end of a sentence: `hostNetwork in a pod` */
export function podSecurityProblem(object: unknown): string | undefined {
  const spec = objectAt(object, 'spec');
  if (listAt(spec, 'externalIPs').length > 0) {
    return 'externalIPs: they take the traffic of others';
  }
  return firstProblem(podSpecsIn(spec), podProblem);
}

/** Of a pod itself, of a template, or of a CronJob's template of templates: wherever there is one. */
function podSpecsIn(spec: Json): readonly Json[] {
  const job = objectAt(objectAt(objectAt(spec, 'jobTemplate'), 'spec'), 'template');
  return [spec, objectAt(objectAt(spec, 'template'), 'spec'), objectAt(job, 'spec')];
}

function podProblem(pod: Json): string | undefined {
  const hostField = HOST_FIELDS.find((field) => isSet(pod[field]));
  if (hostField !== undefined) {
    return `${hostField} in a pod`;
  }
  if (listAt(pod, 'volumes').some((volume) => isSet(valueAt(volume, 'hostPath')))) {
    return 'a hostPath volume';
  }
  if (isUnconfined(objectAt(pod, 'securityContext'))) {
    return 'a pod without seccomp or AppArmor';
  }
  const containers = CONTAINER_FIELDS.flatMap((field) => listAt(pod, field));
  return firstProblem(containers, containerProblem);
}

function containerProblem(container: unknown): string | undefined {
  const context = objectAt(container, 'securityContext');
  if (isSet(context['privileged'])) {
    return 'privileged containers';
  }
  const added = listAt(objectAt(context, 'capabilities'), 'add').map(String);
  const strange = added.find((name) => !BASELINE_CAPABILITIES.includes(name));
  if (strange !== undefined) {
    return `the capability ${strange.slice(0, NAME_SHOWN_MAX)}`;
  }
  if (isSet(context['procMount']) && context['procMount'] !== 'Default') {
    return 'a procMount other than Default';
  }
  if (isUnconfined(context)) {
    return 'a container without seccomp or AppArmor';
  }
  return listAt(container, 'ports').some((port) => isSet(valueAt(port, 'hostPort')))
    ? 'hostPort'
    : undefined;
}

function isUnconfined(context: Json): boolean {
  return ['seccompProfile', 'appArmorProfile'].some(
    (field) => objectAt(context, field)['type'] === 'Unconfined',
  );
}

function firstProblem<T>(
  items: readonly T[],
  problemOf: (item: T) => string | undefined,
): string | undefined {
  for (const item of items) {
    const problem = problemOf(item);
    if (problem !== undefined) {
      return problem;
    }
  }
  return undefined;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== 0;
}

function valueAt(parent: unknown, field: string): unknown {
  return typeof parent === 'object' && parent !== null ? Reflect.get(parent, field) : undefined;
}

function objectAt(parent: unknown, field: string): Json {
  const value = valueAt(parent, field);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listAt(parent: unknown, field: string): readonly unknown[] {
  const value = valueAt(parent, field);
  return Array.isArray(value) ? value : [];
}
