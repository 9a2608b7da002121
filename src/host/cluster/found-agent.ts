/**
 * What a cluster that was here before us has under the names that ours will have: above all the agent
 * that runs in the cluster as a Deployment, whose identity and settings are taken over.
 */

import { AgentError } from '../../core/errors.ts';
import { LIST_TYPE } from '../../core/kinds.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { SavedObject } from '../../protocol/files/adoption.ts';
import { kubectl } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';
import { dataOf, sourcesOf, type VariableSource, valueReader } from './container-variables.ts';

/** Of the Deployment, its ServiceAccount and permissions alike. */
const FOUND_AGENT = 'pipeops-agent';
/** Address, token and name, as its installer writes them. */
const CONFIG_SECRET = 'pipeops-agent-config';
/** What is asked of its variables: Secrets that it has for others are nobody's business here. */
const VARIABLES = [
  'PIPEOPS_API_URL',
  'PIPEOPS_CLUSTER_NAME',
  'PIPEOPS_TOKEN',
  'PIPEOPS_AGENT_ID',
  'PIPEOPS_STATE_CONFIGMAP_NAME',
];
/** What it remembers, unless it is told another name. */
const STATE_CONFIG_MAP = 'pipeops-agent-state';

/** Of an object that is put back: what the API server fills in itself. */
const OF_API_SERVER = [
  'creationTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'selfLink',
  'uid',
  'deletionTimestamp',
  'ownerReferences',
];

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** What an agent in the cluster is called and told; undefined where it does not say. */
export interface FoundAgent {
  readonly apiUrl: string | undefined;
  readonly clusterName: string | undefined;
  readonly agentId: string | undefined;
  /** Secret. */
  readonly token: string | undefined;
}

export interface FoundObjects {
  readonly namespaceWasThere: boolean;
  readonly objects: readonly SavedObject[];
  /** Undefined where none runs in the cluster. */
  readonly agent: FoundAgent | undefined;
}

/** @throws AgentError KUBERNETES_API */
export async function findObjects(deps: Deps, namespace: string): Promise<FoundObjects> {
  const result = await kubectl(deps, [
    'get',
    `namespace/${namespace}`,
    `clusterrole/${FOUND_AGENT}`,
    `clusterrolebinding/${FOUND_AGENT}`,
    `serviceaccount/${FOUND_AGENT}`,
    `deployment/${FOUND_AGENT}`,
    `secret/${CONFIG_SECRET}`,
    `configmap/${STATE_CONFIG_MAP}`,
    `--namespace=${namespace}`,
    '--ignore-not-found',
    '--output=json',
  ]);
  if (result.exitCode !== 0) {
    throw notAnswered('Cannot look what is in the cluster', result.stderr);
  }
  const found = objectsOf(result.stdout);
  const deployment = found.find(({ kind }) => kind === 'Deployment');
  return {
    namespaceWasThere: found.some(({ kind }) => kind === 'Namespace'),
    objects: found.filter(({ kind }) => kind !== 'Namespace').map(withoutServerFields),
    agent: deployment === undefined ? undefined : await agentOf(deps, namespace, found, deployment),
  };
}

/** Takes the agent in the cluster away; what it has installed beside itself stays. */
export async function removeFoundAgent(deps: Deps, namespace: string): Promise<void> {
  const result = await kubectl(deps, deletingFoundAgent(namespace));
  if (result.exitCode !== 0) {
    throw notAnswered('Cannot remove the agent that runs in the cluster', result.stderr);
  }
}

export function deletingFoundAgent(namespace: string): readonly string[] {
  const which = [`deployment/${FOUND_AGENT}`, `--namespace=${namespace}`];
  return ['delete', ...which, '--ignore-not-found', '--wait=false'];
}

/** @throws AgentError KUBERNETES_API where the cluster does not say */
export async function hasFoundAgent(
  deps: Pick<Deps, 'exec' | 'places'>,
  namespace: string,
): Promise<boolean> {
  const argv = ['get', `deployment/${FOUND_AGENT}`, `--namespace=${namespace}`, '--output=name'];
  const { exitCode, stdout, stderr } = await kubectl(deps, [...argv, '--ignore-not-found']);
  if (exitCode !== 0) {
    throw notAnswered('Cannot look for an agent in the cluster', stderr);
  }
  return stdout.trim() !== '';
}

/** Makes them as they were. */
export async function putBackObjects(deps: Deps, objects: readonly SavedObject[]): Promise<void> {
  if (objects.length === 0) {
    return;
  }
  const list = JSON.stringify({ ...LIST_TYPE, items: objects });
  const argv = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
  const result = await kubectl(deps, argv, list);
  if (result.exitCode !== 0) {
    throw notAnswered('Cannot put back what was in the cluster', result.stderr);
  }
}

/** One object, a List, or nothing at all. */
function objectsOf(text: string): readonly SavedObject[] {
  if (text.trim() === '') {
    return [];
  }
  const json = JSON.parse(text) as { readonly items?: readonly unknown[] };
  return (json.items ?? [json]).flatMap((item) => SavedObject.safeParse(item).data ?? []);
}

function withoutServerFields({ status: _, ...object }: SavedObject): SavedObject {
  const kept = Object.entries(object.metadata).filter(([key]) => !OF_API_SERVER.includes(key));
  return { ...object, metadata: { ...Object.fromEntries(kept), name: object.metadata.name } };
}

async function agentOf(
  deps: Deps,
  namespace: string,
  found: readonly SavedObject[],
  deployment: SavedObject,
): Promise<FoundAgent> {
  const state = {
    kind: 'ConfigMap',
    name: valueReader(deployment, found)('PIPEOPS_STATE_CONFIGMAP_NAME') ?? STATE_CONFIG_MAP,
  } as const;
  const sources = [...sourcesOf(deployment, VARIABLES), state];
  const all = [...found, ...(await readSources(deps, namespace, sources))];
  const value = valueReader(deployment, all);
  const settled = (name: string) =>
    value(name) ?? dataOf(all, { kind: 'Secret', name: CONFIG_SECRET }, name);
  return {
    apiUrl: settled('PIPEOPS_API_URL'),
    clusterName: settled('PIPEOPS_CLUSTER_NAME'),
    // An id that is made of its pod's goes with the pod, and is no identity.
    agentId: value('PIPEOPS_AGENT_ID') ?? dataOf(all, state, 'agent_id'),
    token: settled('PIPEOPS_TOKEN'),
  };
}

/** A Helm chart has names of its own for them. @returns those that were not asked for yet */
async function readSources(
  deps: Deps,
  namespace: string,
  sources: readonly VariableSource[],
): Promise<readonly SavedObject[]> {
  const others = sources.filter(({ name }) => name !== CONFIG_SECRET && name !== STATE_CONFIG_MAP);
  if (others.length === 0) {
    return [];
  }
  const names = new Set(others.map(({ kind, name }) => `${kind.toLowerCase()}/${name}`));
  const how = [`--namespace=${namespace}`, '--ignore-not-found', '--output=json'];
  const result = await kubectl(deps, ['get', ...names, ...how]);
  if (result.exitCode !== 0) {
    throw notAnswered('Cannot look what the agent in the cluster is told', result.stderr);
  }
  return objectsOf(result.stdout);
}

function notAnswered(what: string, stderr: string): AgentError {
  return new AgentError('KUBERNETES_API', `${what}: ${kubectlTrouble(stderr).text}`, {
    hint: 'Check that k3s runs, then run the same command again: systemctl status k3s',
  });
}
