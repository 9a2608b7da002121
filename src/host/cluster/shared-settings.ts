/** Reads what all servers of the cluster have in common (protocol/files/shared-settings.ts). */
import { textWithin } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind } from '../../core/kinds.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Http } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { within } from '../../core/waiting.ts';
import type { PolicyFile } from '../../protocol/files/policy.ts';
import {
  parseSharedPolicy,
  parseSharedSettings,
  SHARED_POLICY_KEY,
  SHARED_SETTINGS_KEY,
  type SharedSettings,
} from '../../protocol/files/shared-settings.ts';
import { ConfigMapList, SharedConfigMap } from '../../protocol/kubectl.ts';
import { readKubernetesJson } from '../k3s/kubectl.ts';
import { bearerOf } from './join-server.ts';

const ASK_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Where they are in Kubernetes. */
export interface SharedPlace {
  readonly namespace: string;
  readonly settings: string;
  readonly policy: string;
}

export interface SharedByAgents extends SharedSettings {
  readonly policy: PolicyFile;
}

/**
 * Asks before this machine is a server, with what lets it in.
 * @returns undefined where the agent of the first server is of a version that shares nothing
 * @throws AgentError SERVER_UNREACHABLE
 */
export async function askShared(
  deps: { readonly clock: Clock; readonly http: Http; readonly signal: AbortSignal },
  server: { readonly url: string; readonly ca: string; readonly gate: string },
  place: SharedPlace,
): Promise<SharedByAgents | undefined> {
  const path = `${server.url}${pathOfKind(KINDS.configMap, place.namespace)}`;
  const headers = { authorization: `Bearer ${bearerOf(server.gate) ?? ''}` };
  const one = (name: string, key: string) =>
    within(deps.clock, ASK_TIMEOUT_MS, deps.signal, async (signal) => {
      const options = { tls: { ca: server.ca }, headers, redirect: 'manual', signal } as const;
      const response = await deps.http(`${path}/${name}`, options);
      const text = (await textWithin(response, ANSWER_BYTES_MAX)) ?? '';
      if (!response.ok && response.status !== 403 && response.status !== 404) {
        throw new Error(`it answers ${response.status}`);
      }
      return response.ok ? SharedConfigMap.parse(JSON.parse(text)).data[key] : undefined;
    });
  try {
    return both(
      await one(place.settings, SHARED_SETTINGS_KEY),
      await one(place.policy, SHARED_POLICY_KEY),
    );
  } catch (thrown) {
    throw new AgentError(
      'SERVER_UNREACHABLE',
      `Cannot ask ${server.url} what its servers have in common: ${troubleOf(thrown)}`,
      { hint: 'Run the same command again; on that server: systemctl status k3s', cause: thrown },
    );
  }
}

/**
 * Reads on a server, as the cluster's administrator.
 * @returns undefined as above
 * @throws AgentError KUBERNETES_API
 */
export async function readShared(
  deps: { readonly clock: Clock; readonly exec: Exec; readonly places: Places },
  place: SharedPlace,
): Promise<SharedByAgents | undefined> {
  const words = ['get', 'configmaps', `--namespace=${place.namespace}`];
  const { items } = ConfigMapList.parse(await readKubernetesJson(deps, words));
  const textOf = (name: string, key: string) =>
    items.find(({ metadata }) => metadata['name'] === name)?.data[key];
  return both(textOf(place.settings, SHARED_SETTINGS_KEY), textOf(place.policy, SHARED_POLICY_KEY));
}

function both(
  settingsText: string | undefined,
  policyText: string | undefined,
): SharedByAgents | undefined {
  const settings = parseSharedSettings(settingsText);
  const policy = parseSharedPolicy(policyText);
  return settings === undefined || policy === undefined ? undefined : { ...settings, policy };
}
