/**
 * The servers of a cluster are one agent: they have one name at the control plane, and one token. Both
 * stand in a Secret, as long as there are several. What root changes on one server goes there, and from
 * there to the others. The address of the control plane does not: a server gives the token to no other
 * address than the one that root has set on it (docs/decisions/0034-session-lease.md).
 */
import type { V1ConfigMap } from '@kubernetes/client-node';
import { msUntilBeat } from '../core/beat.ts';
import { bell, rungWithin } from '../core/bell.ts';
import { AgentError, toAgentError } from '../core/errors.ts';
import { KINDS, pathOfObject } from '../core/kinds.ts';
import { limitedLog } from '../core/limited-log.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { AGENT_NAMESPACE, SHARED_POLICY } from '../kubernetes/account/rbac.ts';
import {
  readSessionSecret,
  type SessionSecret,
  type SharedSession,
  writeSessionSecret,
} from '../kubernetes/account/session-secret.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { AloneMemory } from '../kubernetes/lease/election.ts';
import type { LivePolicy } from '../policy/live.ts';
import { parseSharedPolicy, SHARED_POLICY_KEY } from '../protocol/files/shared-settings.ts';
import type { AgentIdentity } from '../store/identity.ts';
import type { LiveAccess } from './control-plane-access.ts';
import type { TokenTrial } from './token-trial.ts';

/** How soon what another server has changed is taken up. */
const SYNC_INTERVAL_MS = 10_000;
/** How soon it shares when it is the only server no more. */
const ALONE_LOOK_INTERVAL_MS = 2_000;
/** In the place of a hash: it shares nothing now. */
const NOTHING_SHARED = 'nothing';
const EMPTY: SharedSession = { agentId: '', controlPlane: '', token: '' };
const OTHER_POLICY =
  'The policy here is not the one that was applied last in the cluster: of both the stricter counts';
const UNREADABLE_POLICY = new AgentError(
  'POLICY_INVALID',
  'This version cannot read the policy that was applied last in the cluster',
  {
    hint:
      'Install the same version on all servers: sudo pipeops-agent install. Where the others are lost, ' +
      'apply a policy here: sudo pipeops-agent policy apply',
  },
);
const POLICY_PATH = pathOfObject(KINDS.configMap, {
  namespace: AGENT_NAMESPACE,
  name: SHARED_POLICY,
});

export interface SharedSessionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: Pick<KubernetesClient, 'find' | 'replace'>;
  readonly access: Pick<LiveAccess, 'onChange'>;
  readonly ownToken: Pick<TokenTrial, 'settled' | 'take' | 'onSettled'>;
  readonly live: Pick<LivePolicy, 'file' | 'keepTo'>;
  readonly identity: Pick<AgentIdentity, 'id' | 'become'>;
  readonly memory: AloneMemory & SyncedMemory & PolicyMemory;
  /** Names of the nodes that are servers; undefined while they are not known. */
  readonly servers: () => readonly string[] | undefined;
}

/** A hash of what was the same here and in the Secret when both were last compared; durable. */
export interface SyncedMemory {
  synced(): string | undefined;
  noteSynced(hash: string): void;
}

/** What root applied last anywhere in the cluster, for when its API is down, and for an only server; durable. */
export interface PolicyMemory {
  policy(): string | undefined;
  notePolicy(text: string | undefined): void;
}

export interface SharedSessionFacts {
  /** Of the control plane, as root has set it on this server. */
  readonly controlPlane: string;
  /** Whether this server joined a cluster that had an agent. */
  readonly hasJoined: boolean;
}

export interface SharedSessionParts {
  /** Takes up what the servers share. @returns why this server must not have the session */
  readonly obstacle: (signal: AbortSignal) => Promise<string | undefined>;
  /** Whether another server could go on with the session. */
  readonly isShared: () => boolean;
  /** What a person should know of it, as it was found last. */
  readonly problems: () => readonly string[];
  readonly service: Service;
}

export function sharedSession(
  deps: SharedSessionDeps,
  facts: SharedSessionFacts,
): SharedSessionParts {
  // An only server begins without asking: what it knows already counts from the first moment.
  const known = keepTo(deps, deps.memory.policy());
  let problems = noteworthy(known.obstacle, known);
  const obstacle = async (signal: AbortSignal) => {
    const policy = await keepToPolicy(deps, signal);
    const session = (await syncSession(deps, facts, signal)) ?? policy.obstacle;
    problems = noteworthy(session, policy);
    return session;
  };
  return {
    obstacle,
    isShared: () => ![undefined, NOTHING_SHARED].includes(deps.memory.synced()),
    problems: () => problems,
    service: {
      name: 'shared-session',
      start: async (signal) => ({ done: repeat(deps, obstacle, signal) }),
    },
  };
}

async function repeat(
  deps: SharedSessionDeps,
  obstacle: (signal: AbortSignal) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const changed = bell();
  const complain = limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields));
  const stopListening = deps.access.onChange(changed.ring);
  const stopHearing = deps.ownToken.onSettled(changed.ring);
  try {
    while (!signal.aborted) {
      try {
        await obstacle(signal);
      } catch (thrown) {
        const { code, message } = toAgentError(thrown);
        // While its API is down, an only server has nobody to share with.
        if (!signal.aborted && !deps.memory.isAlone()) {
          complain('cannot share the session', { error_code: code, error: message });
        }
      }
      const pauseMs = deps.memory.isAlone() ? ALONE_LOOK_INTERVAL_MS : SYNC_INTERVAL_MS;
      await rungWithin(deps, changed, msUntilBeat(deps.clock, pauseMs), signal);
    }
  } finally {
    stopListening();
    stopHearing();
  }
}

async function syncSession(
  deps: SharedSessionDeps,
  facts: SharedSessionFacts,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { client, identity, memory } = deps;
  // Before the others may take it they have to know it.
  if (memory.isAlone() && (deps.servers()?.length ?? 1) <= 1) {
    await shareNothing(deps, signal);
    return undefined;
  }
  const secret = await readSessionSecret(client, signal);
  const isFirst = !facts.hasJoined || memory.synced() !== undefined;
  if (secret === undefined) {
    return isFirst ? undefined : 'its cluster shares no session yet';
  }
  const { session } = secret;
  const token = deps.ownToken.settled();
  if (session.agentId === '' && !isFirst && token === '') {
    return 'no other server has shared its session yet';
  }
  // What an only server finds there may have come with a copy of its machine.
  if (session.agentId !== '' && !memory.isAlone()) {
    identity.become(session.agentId);
  }
  const own = hashOf(facts.controlPlane, token);
  // Who has no token yet takes none away: the note that it joined may be lost.
  const hasNews = token !== '' || (isFirst && session.token === '');
  // One that is empty was made anew by root: whoever knew the session shares it again.
  const isChangedHere =
    session.agentId === '' || (memory.synced() === undefined ? hasNews : memory.synced() !== own);
  if (isChangedHere) {
    await publish(deps, facts, secret, token, signal);
  } else if (session.controlPlane !== facts.controlPlane) {
    return `its control plane is ${facts.controlPlane}, and the session is for ${session.controlPlane}`;
  } else if (session.token !== token) {
    await deps.ownToken.take(session.token);
    deps.log.info('took the token of the control plane from the other servers');
  } else if (session.agentId !== identity.id()) {
    await publish(deps, facts, secret, token, signal); // Root has configured a name here.
  }
  memory.noteSynced(hashOf(facts.controlPlane, deps.ownToken.settled()));
  return undefined;
}

/** The token of an only server has no business in the cluster. */
async function shareNothing(deps: SharedSessionDeps, signal: AbortSignal): Promise<void> {
  const { client, memory } = deps;
  if (memory.synced() === NOTHING_SHARED) {
    return;
  }
  const secret = await readSessionSecret(client, signal);
  if (secret !== undefined && !Bun.deepEquals(secret.session, EMPTY)) {
    await writeSessionSecret(client, secret, EMPTY, signal);
  }
  memory.noteSynced(NOTHING_SHARED);
}

async function publish(
  deps: SharedSessionDeps,
  { controlPlane }: SharedSessionFacts,
  secret: SessionSecret,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const session = { agentId: deps.identity.id(), controlPlane, token };
  if (!Bun.deepEquals(session, secret.session)) {
    await writeSessionSecret(deps.client, secret, session, signal);
    deps.log.info('shared the session with the other servers');
  }
}

/** What a policy of the cluster comes to on this server. */
interface KeptPolicy {
  /** Why this server must not have the session. */
  readonly obstacle?: string;
  readonly warning?: string;
  /** The file here says the same, or nothing was applied in the cluster. */
  readonly isSame: boolean;
}

/**
 * Root applies a policy on one server, and means all of them. Of that and of the one in the file here the
 * stricter counts: what root has narrowed is narrow at once, wherever the session is. It stays so where this
 * becomes the only server, until root applies a policy here. From then on the file alone counts.
 */
async function keepToPolicy(deps: SharedSessionDeps, signal: AbortSignal): Promise<KeptPolicy> {
  const { client, memory } = deps;
  if (memory.isAlone() && memory.policy() === undefined) {
    return keepTo(deps, undefined);
  }
  const object = await client.find<V1ConfigMap>(POLICY_PATH, signal);
  const text = object?.data?.[SHARED_POLICY_KEY];
  const kept = keepTo(deps, text);
  memory.notePolicy(memory.isAlone() && kept.isSame ? undefined : text);
  return kept;
}

function keepTo({ live }: SharedSessionDeps, text: string | undefined): KeptPolicy {
  const applied = parseSharedPolicy(text);
  if (text !== undefined && applied === undefined) {
    live.keepTo(UNREADABLE_POLICY);
    const obstacle = 'its version cannot read the policy that was applied last in the cluster';
    return { obstacle, isSame: false };
  }
  live.keepTo(applied);
  const isSame = applied === undefined || Bun.deepEquals(applied, live.file());
  return isSame ? { isSame } : { warning: OTHER_POLICY, isSame };
}

function noteworthy(session: string | undefined, { warning }: KeptPolicy): readonly string[] {
  const unfit = session && `This server is not fit to have the session of the cluster: ${session}`;
  return [unfit, warning].filter((text) => text !== undefined);
}

function hashOf(controlPlane: string, token: string): string {
  return new Bun.CryptoHasher('sha256').update(`${controlPlane}\n${token}`).digest('hex');
}
