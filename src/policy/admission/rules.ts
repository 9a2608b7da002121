/** What the agent's account may not write, beside pods, as expressions of CEL. */
import {
  ACCOUNT_TOKEN_SECRET,
  BOOTSTRAP_TOKEN_SECRET,
  CONTROL_PLANE_LABEL,
  JOIN_TOKEN_LABEL,
  LEFT_ANNOTATION,
  POD_SECURITY_PREFIX,
  SERVICE_NAME_LABEL,
} from '../../core/labels.ts';
import type { PolicyFile } from '../../protocol/files/policy.ts';
import { NEVER_GROUP_SUFFIX, NEVER_WRITTEN_GROUPS, NEVER_WRITTEN_RESOURCES } from '../never.ts';
import type { Validation } from '../pod-security/cel.ts';
import type { PodSecurityLevel } from '../pod-security/rules.ts';
import type { AdmissionAccount } from './account.ts';

const isCore = (resource: string) =>
  `(request.resource.group == '' && request.resource.resource == '${resource}')`;
const WRITES = "request.operation in ['CREATE', 'UPDATE']";

/** An object that is deleted has only its old form, one that is made only its new one. */
export const ACCOUNT_VARIABLES = [
  { name: 'subresource', expression: "has(request.subResource) ? request.subResource : ''" },
  {
    name: 'metadata',
    expression: 'object != null && has(object.metadata) ? object.metadata : dyn({})',
  },
  {
    name: 'metadataBefore',
    expression: 'oldObject != null && has(oldObject.metadata) ? oldObject.metadata : dyn({})',
  },
  {
    // Deleting a whole list names none of its objects.
    name: 'name',
    expression:
      "has(request.name) && request.name != '' ? request.name" +
      ' : has(variables.metadataBefore.name) ? variables.metadataBefore.name' +
      " : has(variables.metadata.name) ? variables.metadata.name : ''",
  },
  { name: 'inNamespace', expression: "has(request.namespace) ? request.namespace : ''" },
  {
    name: 'target',
    expression: `${isCore('namespaces')} ? variables.name : variables.inNamespace`,
  },
];

export function accountValidations(
  account: AdmissionAccount,
  namespaces: PolicyFile['namespaces'],
  level: PodSecurityLevel,
): readonly Validation[] {
  return [
    ...namespaceRules(account, namespaces),
    PROTECTED_NAMES,
    ownTokens(account),
    NO_TOKEN_SECRETS,
    NEVER,
    NODES_ONLY_SCHEDULED,
    ONLY_LEFT_NODES_TAKEN_OUT,
    NAMESPACES_AS_THEY_ARE,
    LIFE_OF_OTHERS,
    NO_CONVERSION_WEBHOOKS,
    ...(level === 'privileged' ? [] : NO_ROOT_ON_NODES),
  ];
}

/**
 * An eviction is a create in the pod's namespace; the agent's own account renews its token, and changes the
 * objects by which its servers share one session.
 */
function namespaceRules(
  { namespace, tokensOf, ownObjects }: AdmissionAccount,
  { allow, deny }: PolicyFile['namespaces'],
): readonly Validation[] {
  const evicts = "(request.resource.resource == 'pods' && variables.subresource == 'eviction')";
  const renews =
    `(${isCore('serviceaccounts')} && variables.subresource == 'token'` +
    ` && variables.inNamespace == '${namespace}' && variables.name in ${textList(tokensOf)})`;
  // A join token that is used up, and that root has made here (host/cluster/join-limits.ts): those of
  // other tools are not the agent's to end, even where it may delete Secrets.
  const endsToken =
    `(${isCore('secrets')} && request.operation == 'DELETE'` +
    " && variables.inNamespace == 'kube-system' && variables.name.startsWith('bootstrap-token-')" +
    ` && has(oldObject.type) && oldObject.type == '${BOOTSTRAP_TOKEN_SECRET}'` +
    ' && has(variables.metadataBefore.labels)' +
    ` && '${JOIN_TOKEN_LABEL}' in variables.metadataBefore.labels)`;
  const changesOwn = ownObjects.map(
    ({ group, resource, name }) =>
      `(request.operation == 'UPDATE' && request.resource.group == '${group}'` +
      ` && request.resource.resource == '${resource}' && variables.subresource == ''` +
      ` && variables.inNamespace == '${namespace}' && variables.name == '${name}')`,
  );
  const exempt = [evicts, renews, endsToken, ...changesOwn].join(' || ');
  const matches = (patterns: readonly string[]) =>
    `variables.target.matches('^(${patterns.map(expressionOf).join('|')})$')`;
  const message = (rule: string) => `The local policy does not allow this namespace (${rule})`;
  return [
    {
      expression: `!(variables.target.startsWith('kube-') || variables.target == '${namespace}') || ${exempt}`,
      message: `kube-* and ${namespace} are protected from the agent (protected-namespaces)`,
    },
    ...(deny.length === 0
      ? []
      : [{ expression: `!${matches(deny)} || ${exempt}`, message: message('namespaces.deny') }]),
    ...(allow === undefined
      ? []
      : [
          {
            expression: `variables.target == '' || ${matches(allow)} || ${exempt}`,
            message: message('namespaces.allow'),
          },
        ]),
  ];
}

/** Patterns are letters, digits, `-` and `*`, which the schema of the file makes sure of. */
function expressionOf(pattern: string): string {
  return pattern.replaceAll('*', '.*');
}

const PROTECTED_NAMES: Validation = {
  expression:
    `!(${isCore('configmaps')} && variables.name == 'kube-root-ca.crt')` +
    " && !(variables.inNamespace == 'default' && (" +
    `(${isCore('services')} && variables.name.matches('^([a-z]+:)?kubernetes(:[a-z0-9-]*)?$'))` +
    ` || (${isCore('endpoints')} && variables.name == 'kubernetes')` +
    " || (request.resource.resource == 'endpointslices' && (variables.name.startsWith('kubernetes')" +
    ` || ${['metadata', 'metadataBefore']
      .map(
        (metadata) =>
          `(has(variables.${metadata}.labels)` +
          ` && '${SERVICE_NAME_LABEL}' in variables.${metadata}.labels` +
          ` && variables.${metadata}.labels['${SERVICE_NAME_LABEL}'] == 'kubernetes')`,
      )
      .join(' || ')}))))`,
  message:
    "The Kubernetes API's own Service and certificate authority are protected (protected-names)",
};

function ownTokens({ namespace, tokensOf, tokenLifeSeconds }: AdmissionAccount): Validation {
  return {
    expression:
      `!(${isCore('serviceaccounts')} && variables.subresource == 'token') || (` +
      `variables.inNamespace == '${namespace}' && variables.name in ${textList(tokensOf)}` +
      ` && has(object.spec.expirationSeconds) && object.spec.expirationSeconds <= ${tokenLifeSeconds})`,
    message: `Only tokens of the agent's own accounts, for at most ${tokenLifeSeconds} s (own-tokens)`,
  };
}

const NO_TOKEN_SECRETS: Validation = {
  expression:
    `!(${isCore('secrets')} && ${WRITES}) || !has(object.type)` +
    ` || object.type != '${ACCOUNT_TOKEN_SECRET}'`,
  message: 'A Secret of this type is a token without end of another account (own-tokens)',
};

const NEVER: Validation = {
  expression:
    `!(request.resource.group in ${textList(NEVER_WRITTEN_GROUPS)}` +
    ` || request.resource.group.endsWith('${NEVER_GROUP_SUFFIX}')` +
    ` || (request.resource.group == '' && (variables.subresource == '' ? request.resource.resource` +
    ` : request.resource.resource + '/' + variables.subresource) in ${textList(NEVER_WRITTEN_RESOURCES)}))`,
  message: 'What gives more than it says is never written by the agent (never)',
};

/**
 * Whether a field is the same on both sides, or absent on both; except for the keys that may
 * differ.
 */
function sameFields(field: string, mayDiffer: readonly string[]): string {
  const [now, before] = [`object.${field}`, `oldObject.${field}`];
  return (
    `${now}.all(k, k in ${textList(mayDiffer)} || (k in ${before} && ${now}[k] == ${before}[k]))` +
    ` && ${before}.all(k, k in ${textList(mayDiffer)} || k in ${now})`
  );
}

const NODES_ONLY_SCHEDULED: Validation = {
  expression:
    `!${isCore('nodes')} || request.operation == 'DELETE' || (request.operation == 'UPDATE'` +
    " && variables.subresource == ''" +
    ` && ${sameFields('metadata', ['managedFields', 'resourceVersion', 'generation'])}` +
    ` && ${sameFields('spec', ['unschedulable'])})`,
  message: 'Of a node only spec.unschedulable is changed by the agent (nodes)',
};

/** The kubelet of the node itself has said so; the agent cannot write what it says it in. */
const ONLY_LEFT_NODES_TAKEN_OUT: Validation = {
  expression:
    `!${isCore('nodes')} || request.operation != 'DELETE'` +
    ' || (has(variables.metadataBefore.annotations)' +
    ` && '${LEFT_ANNOTATION}' in variables.metadataBefore.annotations` +
    ' && !(has(variables.metadataBefore.labels)' +
    ` && '${CONTROL_PLANE_LABEL}' in variables.metadataBefore.labels))`,
  message: 'Only nodes of workers that have left are deleted by the agent (workers.leave)',
};

const unchanged = (field: string) =>
  `(has(variables.metadata.${field}) ? variables.metadata.${field} : dyn([]))` +
  ` == (has(variables.metadataBefore.${field}) ? variables.metadataBefore.${field} : dyn([]))`;
const LIFE_UNCHANGED = `(${unchanged('ownerReferences')} && ${unchanged('finalizers')})`;

const NAMESPACES_AS_THEY_ARE: Validation = {
  expression:
    `!(${isCore('namespaces')} && ${WRITES}) || (${LIFE_UNCHANGED}` +
    ` && ${sameLabels('metadata', 'metadataBefore')} && ${sameLabels('metadataBefore', 'metadata')})`,
  message: `Owners, finalizers and ${POD_SECURITY_PREFIX}* of a namespace are not the agent’s to change (namespaces)`,
};

function sameLabels(one: string, other: string): string {
  const [a, b] = [`variables.${one}.labels`, `variables.${other}.labels`];
  return (
    `(!has(${a}) || ${a}.all(k, !k.startsWith('${POD_SECURITY_PREFIX}')` +
    ` || (has(${b}) && k in ${b} && ${a}[k] == ${b}[k])))`
  );
}

/**
 * The garbage collector deletes an object whose owner does not exist, and a finalizer decides
 * whether something can be deleted at all: both are allowed only where the account may delete it
 * anyhow.
 */
const LIFE_OF_OTHERS: Validation = {
  expression:
    `!(${WRITES}) || ${LIFE_UNCHANGED} || authorizer.group(request.resource.group)` +
    ".resource(request.resource.resource).namespace(variables.inNamespace).check('delete').allowed()",
  message: 'ownerReferences and finalizers only of what the agent may delete (owners)',
};

const NO_CONVERSION_WEBHOOKS: Validation = {
  expression:
    `request.resource.resource != 'customresourcedefinitions' || !(${WRITES})` +
    " || !has(object.spec.conversion) || object.spec.conversion.strategy != 'Webhook'",
  message: 'A conversion webhook sees and changes the objects of others',
};

const NO_ROOT_ON_NODES: readonly Validation[] = [
  {
    expression:
      `!(${isCore('services')} && ${WRITES} && variables.subresource == '')` +
      ' || !has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0',
    message: 'externalIPs of Services are not allowed (pod-security)',
  },
  {
    expression:
      `!(${isCore('persistentvolumes')} && ${WRITES}) || !(has(object.spec.hostPath)` +
      ' || has(object.spec.local) || has(object.spec.flexVolume))',
    message: 'Volumes that are a place on a node are not allowed (pod-security)',
  },
];

function textList(texts: readonly string[]): string {
  return `[${texts.map((text) => `'${text}'`).join(', ')}]`;
}
