/**
 * What Kubernetes itself checks of every write of the agent's account, whatever the way and the
 * encoding of its body: the wall behind the local policy, which root installs and the agent cannot
 * change (kubernetes.io, "Validating Admission Policy", v1 since Kubernetes 1.30). RBAC cannot say
 * any of it: it knows neither namespace patterns nor what is in an object.
 */

export interface AdmissionLimits {
  /** Refuse pods that would be root on the node. */
  readonly podSecurity: boolean;
  /** Capabilities that a container may add nevertheless. */
  readonly capabilities: readonly string[];
}

export interface AdmissionAccount {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

interface Validation {
  readonly expression: string;
  readonly message: string;
}

/** The policy and its binding, which carry the labels given. */
export function admissionManifests(
  account: AdmissionAccount,
  limits: AdmissionLimits,
  labels: Readonly<Record<string, string>>,
): readonly unknown[] {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const metadata = { name: account.name, labels };
  const user = `system:serviceaccount:${account.namespace}:${account.serviceAccount}`;
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] },
          ],
        },
        matchConditions: [
          { name: 'the-agent', expression: `request.userInfo.username == '${user}'` },
        ],
        variables: [
          ...NAMESPACE_VARIABLES,
          ...(limits.podSecurity ? podVariables(limits.capabilities) : []),
        ],
        validations: [
          protectedNamespaces(account),
          ...ALWAYS,
          ...(limits.podSecurity ? POD_SECURITY : []),
        ].map((validation) => ({ ...validation, reason: 'Forbidden' })),
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: account.name, validationActions: ['Deny'] },
    },
  ];
}

const IS_NAMESPACE = "request.resource.group == '' && request.resource.resource == 'namespaces'";

const NAMESPACE_VARIABLES = [
  {
    name: 'target',
    expression:
      `(${IS_NAMESPACE}) ? (request.operation == 'DELETE' ? request.name : object.metadata.name)` +
      " : (has(request.namespace) ? request.namespace : '')",
  },
  { name: 'subresource', expression: "has(request.subResource) ? request.subResource : ''" },
];

/** An eviction is a create in the pod's namespace; the agent's own account renews its token. */
function protectedNamespaces({ namespace, serviceAccount }: AdmissionAccount): Validation {
  const isProtected = `(variables.target.startsWith('kube-') || variables.target == '${namespace}')`;
  const evicts = "(request.resource.resource == 'pods' && variables.subresource == 'eviction')";
  const renews =
    "(request.resource.resource == 'serviceaccounts' && variables.subresource == 'token'" +
    ` && request.name == '${serviceAccount}')`;
  return {
    expression: `!${isProtected} || ${evicts} || ${renews}`,
    message: `kube-* and ${namespace} are protected from the agent (protected-namespaces)`,
  };
}

const ALWAYS: readonly Validation[] = [
  {
    expression:
      "request.resource.resource != 'customresourcedefinitions' || request.operation == 'DELETE'" +
      " || !has(object.spec.conversion) || object.spec.conversion.strategy != 'Webhook'",
    message: 'A conversion webhook sees and changes the objects of others',
  },
];

/** Pods, templates of pods and the templates of those; a subresource such as scale has neither. */
function podVariables(capabilities: readonly string[]) {
  const list = (items: readonly string[]) => `[${items.map((item) => `'${item}'`).join(', ')}]`;
  return [
    { name: 'hasSpec', expression: 'object != null && has(object.spec)' },
    {
      name: 'pods',
      expression:
        '!variables.hasSpec ? [] :' +
        ' has(object.spec.jobTemplate) ? [object.spec.jobTemplate.spec.template.spec] :' +
        ' has(object.spec.template) && has(object.spec.template.spec)' +
        ' ? [object.spec.template.spec] :' +
        ' has(object.spec.containers) ? [object.spec] : []',
    },
    {
      name: 'containers',
      expression: `variables.pods.map(p, p.containers${['initContainers', 'ephemeralContainers']
        .map((field) => ` + (has(p.${field}) ? p.${field} : [])`)
        .join('')})`,
    },
    { name: 'capabilities', expression: list(capabilities) },
  ];
}

const eachContainer = (condition: string) =>
  `variables.containers.all(list, list.all(c, ${condition}))`;
const inContext = (condition: string) => `!has(c.securityContext) || ${condition}`;

const POD_SECURITY: readonly Validation[] = [
  {
    expression: `variables.pods.all(p, ${['hostNetwork', 'hostPID', 'hostIPC']
      .map((field) => `!(has(p.${field}) && p.${field})`)
      .join(' && ')})`,
    message: 'Pods with hostNetwork, hostPID or hostIPC are not allowed (pod-security)',
  },
  {
    expression: 'variables.pods.all(p, !has(p.volumes) || p.volumes.all(v, !has(v.hostPath)))',
    message: 'hostPath volumes are not allowed (pod-security)',
  },
  {
    expression: eachContainer(
      inContext('!has(c.securityContext.privileged) || !c.securityContext.privileged'),
    ),
    message: 'Privileged containers are not allowed (pod-security)',
  },
  {
    expression: eachContainer(
      inContext(
        '!has(c.securityContext.capabilities) || !has(c.securityContext.capabilities.add) ||' +
          ' c.securityContext.capabilities.add.all(name, name in variables.capabilities)',
      ),
    ),
    message: 'Capabilities beyond the usual ones are not allowed (pod-security)',
  },
  {
    expression: eachContainer(
      inContext("!has(c.securityContext.procMount) || c.securityContext.procMount == 'Default'"),
    ),
    message: 'A procMount other than Default is not allowed (pod-security)',
  },
  ...['seccompProfile', 'appArmorProfile'].map((field) => ({
    expression:
      `variables.pods.all(p, !has(p.securityContext) || !has(p.securityContext.${field}) ||` +
      ` p.securityContext.${field}.type != 'Unconfined') && ` +
      eachContainer(
        inContext(
          `!has(c.securityContext.${field}) || c.securityContext.${field}.type != 'Unconfined'`,
        ),
      ),
    message: 'Pods without seccomp or AppArmor are not allowed (pod-security)',
  })),
  {
    expression: eachContainer(
      '!has(c.ports) || c.ports.all(port, !has(port.hostPort) || port.hostPort == 0)',
    ),
    message: 'hostPort is not allowed (pod-security)',
  },
  {
    expression:
      "request.resource.resource != 'services' || !variables.hasSpec" +
      ' || !has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0',
    message: 'externalIPs of Services are not allowed (pod-security)',
  },
];
