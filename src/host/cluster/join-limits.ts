/** What a join token is bound to, as objects beside its Secret: they end with it. */
import { GROUPS, KINDS, LIST_TYPE, typeOf } from '../../core/kinds.ts';
import { BOOTSTRAP_TOKEN_SECRET, JOIN_TOKEN_LABEL, MANAGED_BY } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec } from '../../core/ports.ts';
import { JOIN_LIMITS_KEY, type JoinLimits, parseJoinLimits } from '../../protocol/join-limits.ts';
import { ConfigMapList, ObjectIdentity } from '../../protocol/kubectl.ts';
import { kubectl, readKubernetesJson } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';
import { anotherJoins } from './server-join.ts';

const NAMESPACE = 'kube-system';
/** There is one at a time: it goes with the token of the server that joins. */
const SERVER_JOIN_LOCK = 'pipeops-agent-server-join';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly places: Places;
}

/** The agent's own account in Kubernetes. */
export interface Enforcer {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The Secret of a token (kubernetes.io, "Bootstrap Token Secret Format"). */
function secretName(id: string): string {
  return `bootstrap-token-${id}`;
}

/**
 * Writes down what a token is bound to, where the daemon of this server reads it, and lets the daemon
 * delete this one Secret and no other: its account may name it, and not read it, and the admission policy
 * asks for the label. The garbage collector takes all of it away with the Secret.
 * The token of a server also holds the lock by which servers join one at a time.
 * @returns what went wrong; undefined where nothing did
 * @throws AgentError SERVERS_NOT_READY where another token holds the lock
 */
export async function limitToken(
  deps: Deps,
  id: string,
  limits: JoinLimits,
  enforcer: Enforcer,
): Promise<string | undefined> {
  const secret = ObjectIdentity.parse(
    await readKubernetesJson(deps, [
      'label',
      'secret',
      secretName(id),
      `${JOIN_TOKEN_LABEL}=${id}`,
      `--namespace=${NAMESPACE}`,
      '--overwrite', // A second try finds its own.
    ]),
  );
  const items = limitingObjects(id, secret.metadata.uid, limits, enforcer);
  const manifest = JSON.stringify({ ...LIST_TYPE, items });
  const { exitCode, stderr } = await kubectl(deps, ['create', '--filename=-'], manifest);
  if (stderr.includes(`"${SERVER_JOIN_LOCK}" already exists`)) {
    throw anotherJoins();
  }
  return exitCode === 0 ? undefined : kubectlTrouble(stderr).text;
}

function limitingObjects(
  id: string,
  secretUid: string,
  limits: JoinLimits,
  { namespace, serviceAccount }: Enforcer,
): readonly unknown[] {
  const name = `pipeops-agent-join-${id}`;
  const owner = { ...typeOf(KINDS.secret), name: secretName(id), uid: secretUid };
  const labels = { ...MANAGED_BY, [JOIN_TOKEN_LABEL]: id };
  const metadata = { name, namespace: NAMESPACE, labels, ownerReferences: [owner] };
  const lock = { ...metadata, name: SERVER_JOIN_LOCK, labels: MANAGED_BY };
  return [
    ...(limits.role === 'server' ? [{ ...typeOf(KINDS.configMap), metadata: lock }] : []),
    {
      ...typeOf(KINDS.configMap),
      metadata,
      data: { [JOIN_LIMITS_KEY]: JSON.stringify(limits) },
    },
    {
      ...typeOf(KINDS.role),
      metadata,
      rules: [
        {
          apiGroups: [''],
          resources: [KINDS.secret.plural],
          resourceNames: [secretName(id)],
          verbs: ['delete'],
        },
      ],
    },
    {
      ...typeOf(KINDS.roleBinding),
      metadata,
      roleRef: { apiGroup: GROUPS.rbac, kind: KINDS.role.kind, name },
      subjects: [{ kind: KINDS.serviceAccount.kind, name: serviceAccount, namespace }],
    },
  ];
}

/** The Secrets of all join tokens, those of other tools too; `kubectl` prints them with their secret part. */
export function readTokenSecrets(deps: Deps): Promise<unknown> {
  const selector = `--field-selector=type=${BOOTSTRAP_TOKEN_SECRET}`;
  return readKubernetesJson(deps, ['get', 'secrets', `--namespace=${NAMESPACE}`, selector]);
}

/** The limits of each token by its id. @throws AgentError KUBERNETES_API */
export async function readLimits(deps: Deps): Promise<ReadonlyMap<string, JoinLimits>> {
  const found = ConfigMapList.parse(
    await readKubernetesJson(deps, [
      'get',
      'configmaps',
      `--namespace=${NAMESPACE}`,
      `--selector=${JOIN_TOKEN_LABEL}`,
    ]),
  );
  return new Map(
    found.items.flatMap(({ metadata, data }) => {
      const limits = parseJoinLimits(data[JOIN_LIMITS_KEY]);
      const id = metadata.labels[JOIN_TOKEN_LABEL];
      return limits === undefined || id === undefined ? [] : [[id, limits] as const];
    }),
  );
}
