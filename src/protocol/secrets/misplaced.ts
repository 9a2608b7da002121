import { AgentError } from '../../core/errors.ts';
import { type SecretKind, secretKind } from './kind.ts';

/** Where a secret was given. */
export type SecretPlace = 'control-plane-token' | 'join-token' | 'k3s-token';

const INSTALL = 'sudo pipeops-agent install --token-file FILE';
const JOIN = 'sudo pipeops-agent join --token-file FILE';
const CREATE = 'sudo pipeops-agent token create';
const VARIABLES = 'NODE_TYPE=agent K3S_URL=https://SERVER:6443 K3S_TOKEN=…';

const WANTED: Readonly<Record<SecretPlace, string>> = {
  'control-plane-token': 'a token of the control plane',
  'join-token': 'a join token',
  'k3s-token': 'a token of k3s',
};

const FITS: Readonly<Record<SecretPlace, readonly (SecretKind | undefined)[]>> = {
  'control-plane-token': [undefined, 'jwt'],
  'join-token': ['join-token'],
  // A text of no known shape fits too: k3s takes any word that its servers were started with.
  'k3s-token': [undefined, 'k3s-token'],
};

/** What it is, and where it belongs. */
const KINDS: Readonly<Record<SecretKind, readonly [what: string, hint: string]>> = {
  'join-token': [
    'a join token',
    `To make this machine a worker: ${JOIN}. ` +
      `To make it a server, give the control plane's token: ${INSTALL}`,
  ],
  'join-token-json': [
    'what "token create --json" printed',
    `Write only the value of "token" into the file, then: ${JOIN}`,
  ],
  'k3s-token': [
    'a token of k3s',
    `To make this machine a worker, make a join token on the server (${CREATE}) and use it here ` +
      `(${JOIN}), or set ${VARIABLES} for "pipeops-agent install"`,
  ],
  'kubernetes-token': [
    'a token of a Kubernetes account',
    'It belongs into a kubeconfig; the agent makes its own',
  ],
  jwt: ['a token of another kind (JWT)', `A token of the control plane goes to: ${INSTALL}`],
  kubeconfig: ['a kubeconfig', 'It is for kubectl --kubeconfig FILE; the agent makes its own'],
  'private-key': ['a private key', 'The agent needs none: keep it where it was'],
  certificate: [
    'a certificate or a public key',
    "If it is of the control plane's own authority, give it as --ca-file FILE",
  ],
  'foreign-key': ['a key of another service', 'The agent needs none: keep it where it was'],
  document: ['a JSON document', 'Write only the token into the file'],
  address: ['an address', 'The address of the control plane goes to --api-url (PIPEOPS_API_URL)'],
  path: ['the name of a file', 'A file is named with --token-file FILE'],
};

/**
 * The error for a secret that was given in a wrong place; undefined when its shape fits, or says
 * nothing. The error never contains the secret.
 */
export function misplacedSecret(place: SecretPlace, text: string): AgentError | undefined {
  const kind = secretKind(text);
  if (kind === undefined || FITS[place].includes(kind)) {
    return undefined;
  }
  const [what, hint] = KINDS[kind];
  const code = place === 'control-plane-token' ? 'TOKEN_INVALID' : 'JOIN_TOKEN_INVALID';
  return new AgentError(code, `This is ${what}, not ${WANTED[place]}`, { hint });
}
