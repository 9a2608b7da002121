/** The Secret by which the servers of a cluster are one agent to the control plane. Root makes it, empty. */
import type { V1Secret } from '@kubernetes/client-node';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { KubernetesClient } from '../api/client.ts';
import { AGENT_NAMESPACE, SESSION_SECRET } from './rbac.ts';

const PATH = pathOfObject(KINDS.secret, { namespace: AGENT_NAMESPACE, name: SESSION_SECRET });

export interface SharedSession {
  /** Name of the agent at the control plane; empty until a server has shared it. */
  readonly agentId: string;
  /** Address of the control plane that the token is for. */
  readonly controlPlane: string;
  /** Empty where the cluster is standalone. Secret. */
  readonly token: string;
}

export interface SessionSecret {
  readonly session: SharedSession;
  readonly object: V1Secret;
}

type Client = Pick<KubernetesClient, 'find' | 'replace'>;

/** @returns undefined where there is none: an older version has installed the agent */
export async function readSessionSecret(
  client: Client,
  signal: AbortSignal,
): Promise<SessionSecret | undefined> {
  const object = await client.find<V1Secret>(PATH, signal);
  const { data = {} } = object ?? {};
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8');
  const session = {
    agentId: text('agent_id'),
    controlPlane: text('control_plane'),
    token: text('token'),
  };
  return object === undefined ? undefined : { session, object };
}

/** @throws ApiRejection with 409 where somebody else was faster */
export async function writeSessionSecret(
  client: Client,
  { object }: SessionSecret,
  { agentId, controlPlane, token }: SharedSession,
  signal: AbortSignal,
): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const data = {
    ...object.data, // What another version keeps there.
    agent_id: base64(agentId),
    control_plane: base64(controlPlane),
    token: base64(token),
  };
  await client.replace<V1Secret>(PATH, { ...object, data }, signal);
}
