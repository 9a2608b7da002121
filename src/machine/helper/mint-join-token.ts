import { listJoinTokens, revokeJoinToken } from '../../host/cluster/join-tokens.ts';
import type { HelperRequest, MintedJoinToken } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';
import { createJoinToken } from '../tokens/create.ts';

type Request = Extract<HelperRequest, { verb: 'mint_join_token' }>;

/**
 * A token for one machine. A command has at most one that lives: what an earlier attempt has made ends
 * first, because nobody was told of it.
 * @throws AgentError NOT_A_SERVER, TOOL_FAILED, KUBERNETES_API, CONFIG_INVALID, SERVERS_NOT_READY
 */
export async function mintJoinToken(
  context: MachineContext,
  { command_id: commandId, role, ttl_seconds: ttlSeconds }: Request,
): Promise<MintedJoinToken> {
  const description = `command ${commandId}`;
  const known = await listJoinTokens(context);
  for (const earlier of known.filter((each) => each.description === description)) {
    await revokeJoinToken(context, earlier.id);
  }
  const { token, id, expires, servers } = await createJoinToken(context, {
    role,
    description,
    ttlMs: ttlSeconds * 1_000,
    uses: 1,
    node: undefined,
    from: [],
    servePort: undefined,
  });
  return { token, id, role, expires, servers: [...servers] };
}
