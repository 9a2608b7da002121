import { joinLine } from '../host/cluster/join-line.ts';
import {
  type CreatedJoinToken,
  createWorkerToken,
  type JoinTokenOptions,
} from '../host/cluster/join-tokens.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';
import { KUBERNETES_ACCOUNT } from './kubernetes-account.ts';

export interface JoinTokenForMachine extends CreatedJoinToken {
  /** The whole line for the new machine: secret, as it holds the token. */
  readonly line: string;
}

/**
 * `token create`: a token, and the line that makes a worker of another machine with it, from where
 * this server itself was installed.
 * @throws AgentError NOT_A_SERVER, TOOL_FAILED, KUBERNETES_API, CONFIG_INVALID
 */
export async function createJoinToken(
  context: MachineContext,
  options: JoinTokenOptions,
): Promise<JoinTokenForMachine> {
  const { config } = await loadEffectiveConfig(context, {});
  const created = await createWorkerToken(context, options, KUBERNETES_ACCOUNT);
  const sources = { baseUrl: config.agent.base_url, k3sMirror: config.k3s.mirror };
  return { ...created, line: joinLine(created.token, sources) };
}
