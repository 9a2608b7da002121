/**
 * What Kubernetes accepts as name, label, taint and address of a node, so that a mistake is found
 * before anything is changed, and not in the kubelet's journal.
 * (k8s.io/apimachinery "validation", k8s.io/kubelet "apis/well_known_labels.go")
 */
import * as z from 'zod';
import { AgentError } from '../core/errors.ts';
import { KUBELET_LABELS, KUBELET_NAMESPACES } from '../core/labels.ts';
import { ipVersion } from '../core/text/ip-version.ts';

const LABEL_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;
/** The certificate of the API grows with each. */
const SERVER_NAMES_MAX = 32;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const EFFECTS: readonly string[] = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
/** It is the value of the label kubernetes.io/hostname too: hence 63, not 253. */
export const NodeName = z
  .string()
  .max(LABEL_LENGTH_MAX)
  .regex(
    SUBDOMAIN,
    'must be at most 63 lower-case letters, digits, "-" or ".", with a letter or digit at both ends of each part',
  );

export const NodeLabels = z
  .array(z.string())
  .superRefine(eachWith(labelProblem))
  .superRefine(unique((label) => label.split('=')[0] ?? ''));

export const NodeTaints = z
  .array(z.string())
  .superRefine(eachWith(taintProblem))
  .superRefine(unique((taint) => taint.replace(/^([^=]*)=[^:]*:/, '$1:')));

/** One, or one of IPv4 and one of IPv6. */
export const NodeAddresses = z
  .array(z.string())
  .superRefine(eachWith(addressProblem))
  .superRefine((addresses, context) => {
    const families = new Set(addresses.map((address) => ipVersion(address)));
    if (families.size < addresses.length) {
      context.addIssue('must be one address, or one of IPv4 and one of IPv6');
    }
  });

/** A host name or an IP address by which others reach the servers: no port, no scheme. */
export const ServerName = z.string().superRefine((name, context) => {
  const problem = serverNameProblem(name);
  if (problem !== undefined) {
    context.addIssue(problem);
  }
});

export const ServerNames = z
  .array(z.string())
  .max(SERVER_NAMES_MAX)
  .superRefine(eachWith(serverNameProblem))
  .superRefine(unique((name) => name));

type Refinement = (values: readonly string[], context: z.RefinementCtx) => void;

function eachWith(problemOf: (value: string) => string | undefined): Refinement {
  return (values, context) => {
    for (const value of values) {
      const problem = problemOf(value);
      if (problem !== undefined) {
        context.addIssue(`"${value}" ${problem}`);
      }
    }
  };
}

function unique(keyOf: (value: string) => string): Refinement {
  return (values, context) => {
    const keys = values.map(keyOf);
    for (const key of new Set(keys.filter((each, index) => keys.indexOf(each) !== index))) {
      context.addIssue(`"${key}" is given twice`);
    }
  };
}

function labelProblem(label: string): string | undefined {
  const [key = '', value, ...more] = label.split('=');
  if (value === undefined || more.length > 0) {
    return 'is not a label such as disk=ssd';
  }
  const problem = keyProblem(key) ?? valueProblem(value);
  if (problem !== undefined) {
    return problem;
  }
  const namespace = key.includes('/') ? (key.split('/')[0] ?? '') : '';
  const within = (domain: string) => namespace === domain || namespace.endsWith(`.${domain}`);
  const isKubernetes = within('kubernetes.io') || within('k8s.io');
  return isKubernetes && !KUBELET_LABELS.includes(key) && !KUBELET_NAMESPACES.some(within)
    ? 'is a label that a node may not give itself: kubectl label node does it afterwards'
    : undefined;
}

function taintProblem(taint: string): string | undefined {
  const [, key = '', value = '', effect = ''] = /^([^=:]*)(?:=([^:]*))?:(.*)$/.exec(taint) ?? [];
  if (key === '') {
    return 'is not a taint such as dedicated=gpu:NoSchedule';
  }
  return (
    keyProblem(key) ??
    valueProblem(value) ??
    (EFFECTS.includes(effect) ? undefined : `must end with one of :${EFFECTS.join(', :')}`)
  );
}

function keyProblem(key: string): string | undefined {
  const [name = '', prefix, ...more] = key.split('/').toReversed();
  if (
    more.length > 0 ||
    (prefix !== undefined && (!SUBDOMAIN.test(prefix) || prefix.length > SUBDOMAIN_LENGTH_MAX))
  ) {
    return 'has a key whose prefix is not a lower-case domain such as example.com/';
  }
  return NAME.test(name) && name.length <= LABEL_LENGTH_MAX
    ? undefined
    : 'has a key that is not 1 to 63 letters, digits, "-", "_" or "."';
}

function valueProblem(value: string): string | undefined {
  return value === '' || (NAME.test(value) && value.length <= LABEL_LENGTH_MAX)
    ? undefined
    : 'has a value that is not at most 63 letters, digits, "-", "_" or "."';
}

function serverNameProblem(name: string): string | undefined {
  // The end tells a name from what only looks like an address: 10.0.0.256.
  const isName =
    SUBDOMAIN.test(name) && name.length <= SUBDOMAIN_LENGTH_MAX && !/(^|\.)\d+$/.test(name);
  const isOfOthers = ipVersion(name) !== 0 && addressProblem(name) === undefined;
  return isName || isOfOthers
    ? undefined
    : 'is not a name such as k8s.example.com, or an address, without scheme and port';
}

/** What a kubelet does not take (k8s.io/kubernetes, "pkg/kubelet/kubelet_node_status.go"). */
function addressProblem(address: string): string | undefined {
  switch (ipVersion(address)) {
    case 4:
      return /^(0|127|169\.254|22[4-9]|23\d|24\d|25[0-5])\./.test(address)
        ? 'is not an address that other machines reach this one by'
        : undefined;
    case 6:
      return /^(::1?$|fe[89ab]|ff)/i.test(address)
        ? 'is not an address that other machines reach this one by'
        : undefined;
    default:
      return 'is not an IP address';
  }
}

/**
 * The name of this machine's node: k3s takes the machine's in lower case when none is given.
 * @throws AgentError HOST_UNSUPPORTED when a node cannot have that name
 */
export function nodeNameOf(hostname: string, given: string | undefined): string {
  const name = given ?? hostname.toLowerCase();
  if (!NodeName.safeParse(name, { jitless: true }).success) {
    throw new AgentError('HOST_UNSUPPORTED', `A node cannot be called "${name}", as this machine`, {
      hint: 'Give it a name of its own with --node-name (K3S_NODE_NAME)',
    });
  }
  return name;
}
