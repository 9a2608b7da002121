import { matchesGlob } from '../core/text/glob.ts';
import type { HostVerb, PolicyFile } from '../protocol/files/policy.ts';
import {
  type AccessRequest,
  ALLOWED,
  type Policy,
  type PolicyDecision,
  type ReachPolicy,
  refused,
} from './decision.ts';
import { COMMAND_HOST_VERBS, type EffectivePolicy } from './effective.ts';
import { type GrantTable, grantTable } from './grant-table.ts';
import { READ_VERBS, switchOf } from './grants.ts';
import { objectProblem } from './object-rules.ts';
import { isProtectedNamespace, isProtectedObject } from './protected.ts';
import { parseRequest } from './request-path.ts';
import { isWithin } from './windows.ts';

/** Commands that only look. */
const READING_COMMANDS: readonly string[] = ['get_resources', 'logs'];
/** They work on a node, whatever namespaces its pods are in; name their objects one by one, or have none in the cluster. */
const COMMANDS_WITHOUT_NAMESPACE: readonly string[] = [
  'cordon',
  'uncordon',
  'drain',
  'apply',
  'rotate_token',
  ...Object.keys(COMMAND_HOST_VERBS),
];

/** The evaluator: no state, no waiting, a few microseconds a question. */
export function policyOf(effective: EffectivePolicy): Policy & ReachPolicy {
  const granted = grantTable(effective.grants);
  const access = (request: AccessRequest) => decideAccess(effective, granted, request);
  return {
    command: ({ type, namespace, hostVerb }) =>
      hostVerb === undefined
        ? decideCommand(effective, type, namespace)
        : decideHost(effective, type, hostVerb),
    isAsked: (verb) => effective.host[verb].decision === 'ask',
    windowsAhead: (verb, now) => {
      const windows = effective.file.windows[verb] ?? [];
      return isWithin(windows, now) ? undefined : windows;
    },
    access,
    object: (object) => decideObject(effective, object),
    // Traffic changes what it reaches; but it needs no right in Kubernetes, so every preset has it.
    reach: (namespace) => decideNamespace(effective, namespace, false),
    kubernetesApi: () => decideKubernetesApi(effective),
    request: (method, target, upgrade) => {
      const parsed = parseRequest(method, target, upgrade);
      switch (parsed.kind) {
        case 'refused':
          return parsed.decision;
        case 'public':
          return decideProxy(effective.file, target, 'get');
        case 'access': {
          const proxied = decideProxy(effective.file, target, parsed.access.verb);
          return proxied.allowed ? decideProxiedAccess(effective, access, parsed.access) : proxied;
        }
      }
    },
  };
}

function decideCommand(
  effective: EffectivePolicy,
  type: string,
  namespace: string | undefined,
): PolicyDecision {
  if (!effective.commands.some((each) => each === type)) {
    return refused(commandRule(effective, type), `The local policy does not allow "${type}"`);
  }
  if (namespace !== undefined) {
    return decideNamespace(effective, namespace, READING_COMMANDS.includes(type));
  }
  return COMMANDS_WITHOUT_NAMESPACE.includes(type) ? ALLOWED : decideAllNamespaces(effective);
}

function commandRule(effective: EffectivePolicy, type: string): string {
  const { file, preset, switches } = effective;
  const denied = file.commands.deny.map(String).indexOf(type);
  if (denied >= 0) {
    return `file/commands.deny[${denied}]`;
  }
  if (type === 'exec' && !switches.exec.allowed) {
    return `${switches.exec.source}/exec`;
  }
  if (file.commands.allow?.some((each) => each === type) === false) {
    return 'file/commands.allow';
  }
  const [verb] = COMMAND_HOST_VERBS[type] ?? [];
  return verb === undefined ? `${preset}/commands` : hostRule(effective, verb);
}

/**
 * What root's helper asks before it does something for the control plane. The daemon has asked the same,
 * but the helper does not rely on that.
 */
export function decideHost(
  effective: EffectivePolicy,
  type: string,
  verb: HostVerb,
): PolicyDecision {
  const decision = decideCommand(effective, type, undefined);
  return !decision.allowed || effective.host[verb].decision !== 'deny'
    ? decision
    : refused(
        hostRule(effective, verb),
        `The local policy does not allow "${verb}" on this machine`,
      );
}

/** What no command asks for, but the agent by itself. */
export function decideUpkeep(effective: EffectivePolicy, verb: HostVerb): PolicyDecision {
  return effective.host[verb].decision === 'deny'
    ? refused(hostRule(effective, verb), `The local policy does not allow "${verb}"`)
    : ALLOWED;
}

function hostRule({ host }: EffectivePolicy, verb: HostVerb): string {
  return `${host[verb].source}/host.${verb}`;
}

function decideAccess(
  effective: EffectivePolicy,
  granted: GrantTable,
  request: AccessRequest,
): PolicyDecision {
  const { verb, group, subresource, namespace } = request;
  const resource = subresource === '' ? request.resource : `${request.resource}/${subresource}`;
  const grant = granted.find(request);
  if (grant === undefined) {
    return refused(
      resourceRule(effective, group, resource, verb),
      `The local policy does not allow to ${verb} ${group === '' ? resource : `${resource}.${group}`}`,
    );
  }
  const reads = READ_VERBS.includes(verb) && !opensSecrets(request);
  if (!reads && isProtectedObject(request)) {
    return refused(
      `${effective.preset}/protected-names`,
      `The local policy does not allow changes of ${request.resource} "${request.name}"`,
    );
  }
  if (group === '' && request.resource === 'namespaces') {
    return request.name === '' && !reads
      ? decideUnnamedNamespace(effective)
      : decideNamespace(effective, request.name, reads);
  }
  if (grant.cluster && namespace === '') {
    return ALLOWED;
  }
  return namespace === ''
    ? decideAllNamespaces(effective, reads)
    : decideNamespace(effective, namespace, reads);
}

/** The name is in the body. Kubernetes checks that too, but only once `policy apply` was run. */
function decideUnnamedNamespace({ file }: EffectivePolicy): PolicyDecision {
  const { allow, deny } = file.namespaces;
  return allow === undefined && deny.length === 0
    ? ALLOWED
    : refused(
        allow === undefined ? 'file/namespaces.deny[0]' : 'file/namespaces.allow',
        'Where namespaces are narrowed, one is made by its name: apply it, or PATCH it',
      );
}

function decideKubernetesApi({ switches }: EffectivePolicy): PolicyDecision {
  const { allowed, source } = switches['tunnel.kubernetes_api'];
  return allowed
    ? ALLOWED
    : refused(
        `${source}/tunnel.kubernetes_api`,
        'The local policy does not open the Kubernetes API to the tunnel',
      );
}

/** Reading that gives as much as changing: it is refused in protected namespaces. */
function opensSecrets({ group, resource, subresource }: AccessRequest): boolean {
  return group === '' && (resource === 'secrets' || subresource === 'proxy');
}

function resourceRule(
  { preset, switches }: EffectivePolicy,
  group: string,
  resource: string,
  verb: string,
): string {
  const name = group === '' ? switchOf(resource, verb) : undefined;
  return name === undefined ? `${preset}/resources` : `${switches[name].source}/${name}`;
}

function decideNamespace(
  { file, preset }: EffectivePolicy,
  namespace: string,
  reads: boolean,
): PolicyDecision {
  if (!reads && isProtectedNamespace(namespace)) {
    return refused(
      `${preset}/protected-namespaces`,
      `The local policy does not allow changes in namespace "${namespace}"`,
    );
  }
  const denied = file.namespaces.deny.findIndex((pattern) => matchesGlob(pattern, namespace));
  const outside =
    file.namespaces.allow?.some((pattern) => matchesGlob(pattern, namespace)) === false;
  // A list of namespaces, rather than one of them, shows names only.
  if (namespace !== '' && (denied >= 0 || outside)) {
    return refused(
      denied >= 0 ? `file/namespaces.deny[${denied}]` : 'file/namespaces.allow',
      `The local policy does not allow anything in namespace "${namespace}"`,
    );
  }
  return ALLOWED;
}

/** One request for all namespaces: it would also show those that are not allowed. */
function decideAllNamespaces({ file, preset }: EffectivePolicy, reads = true): PolicyDecision {
  const reason = 'The local policy does not allow this for all namespaces at once';
  if (!reads) {
    return refused(`${preset}/protected-namespaces`, reason);
  }
  if (file.namespaces.allow !== undefined) {
    return refused('file/namespaces.allow', reason);
  }
  return file.namespaces.deny.length > 0 ? refused('file/namespaces.deny[0]', reason) : ALLOWED;
}

function decideObject({ podSecurity, preset }: EffectivePolicy, object: unknown): PolicyDecision {
  const found = objectProblem(podSecurity.level, object);
  if (found === undefined) {
    return ALLOWED;
  }
  const source = found.rule === 'pod-security' ? podSecurity.source : preset;
  return refused(`${source}/${found.rule}`, `The local policy does not allow ${found.problem}`);
}

function decideProxy({ proxy }: PolicyFile, target: string, verb: string): PolicyDecision {
  if (!proxy.enabled) {
    return refused('file/proxy.enabled', 'The local policy allows no proxied requests');
  }
  if (proxy.verbs?.some((each) => each === verb) === false) {
    return refused('file/proxy.verbs', `The local policy does not allow to ${verb} by the proxy`);
  }
  const { allow, deny } = proxy.paths;
  if (allow === undefined && deny.length === 0) {
    return ALLOWED;
  }
  const path = comparablePath(target);
  const denied = deny.findIndex((pattern) => matchesGlob(pattern, path));
  if (denied >= 0) {
    return refused(`file/proxy.paths.deny[${denied}]`, 'The local policy does not allow this path');
  }
  return allow?.some((pattern) => matchesGlob(pattern, path)) === false
    ? refused('file/proxy.paths.allow', 'The local policy does not allow this path')
    : ALLOWED;
}

/** A final slash and the old form of a watch do not change what a path means. */
function comparablePath(target: string): string {
  const path = target.split('?', 1)[0] ?? '';
  return path.replace(/^(\/api\/[^/]+|\/apis\/[^/]+\/[^/]+)\/watch\//, '$1/').replace(/\/$/, '');
}

function decideProxiedAccess(
  { switches }: EffectivePolicy,
  access: (request: AccessRequest) => PolicyDecision,
  request: AccessRequest,
): PolicyDecision {
  const { verb, group, resource } = request;
  const deletesSecret = verb === 'delete' && group === '' && resource === 'secrets';
  if (deletesSecret && !switches['secrets.read'].allowed) {
    // With propagationPolicy=Foreground the API answers with the Secret itself; a command drops
    // that.
    return refused(
      `${switches['secrets.read'].source}/secrets.read`,
      'Deleting a Secret may answer what is in it: use the command "delete" or "apply"',
    );
  }
  return access(request);
}
