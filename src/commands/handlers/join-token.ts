import { JoinTokenData, JoinTokenPayload } from '../../protocol/commands/machine.ts';
import { MintedJoinToken } from '../../protocol/helper.ts';
import { commandHandler } from '../engine/handler.ts';
import { askHelperAndPerson } from '../engine/helper.ts';

/** A person may be asked. */
const TIMEOUT_MS = 3_600_000;

/**
 * join_token: a token by which one machine joins this cluster. A rerun after a crash ends what the
 * attempt before has made, so one token of a command lives at most.
 */
export const joinTokenCommand = commandHandler({
  type: 'join_token',
  payload: JoinTokenPayload,
  data: JoinTokenData,
  priority: 'normal',
  lane: () => 'join-tokens',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async ({ role, ttl_seconds }, context) => {
    const hostVerb = role === 'server' ? 'server_token' : 'join_token';
    const request = {
      verb: 'mint_join_token' as const,
      command_id: context.commandId,
      role,
      ttl_seconds,
    };
    const answer = await askHelperAndPerson(context, { type: 'join_token', hostVerb }, request);
    const { token, ...data } = MintedJoinToken.parse(answer);
    const kind = role === 'server' ? 'server' : 'worker';
    return {
      output: `The join token ${data.id} lets one machine join as a ${kind} until ${data.expires}`,
      data,
      revealed: { token },
    };
  },
});
