import { AgentError } from '../../core/errors.ts';
import {
  RotateTokenData,
  RotateTokenPayload,
  TokenTrialBegun,
} from '../../protocol/commands/machine.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { commandHandler } from '../engine/handler.ts';

/** While the control plane is away, the new token stays on trial. */
const TIMEOUT_MS = 3_600_000;
const LOOK_INTERVAL_MS = 200;

/**
 * rotate_token: another token for the session. It is tried, and the one before is forgotten only when the control
 * plane has let the agent in with the new one. A rerun after a crash goes on with the trial, and never begins one that has
 * ended here: what root has set meanwhile stays.
 */
export const rotateTokenCommand = commandHandler({
  type: 'rotate_token',
  payload: RotateTokenPayload,
  data: RotateTokenData,
  priority: 'normal',
  lane: () => 'control-plane-token',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async ({ new_token: token }, context) => {
    const { clock, node, signal, stopping, ownToken } = context;
    const isBegunHere = readCheckpoint(TokenTrialBegun, context)?.node === node;
    // Where root has taken the token away, the control plane gives none.
    if (!isBegunHere && ownToken.inUse() !== '') {
      context.progress('The session begins anew with the new token');
      await ownToken.begin(token);
      const begun: TokenTrialBegun = { node };
      await context.setCheckpoint(begun);
    }
    while (ownToken.settled() !== token) {
      if (ownToken.inUse() !== token) {
        throw new AgentError(
          'TOKEN_REJECTED',
          'The control plane refused the new token, or somebody gave another one here meanwhile',
          { hint: 'The token before is in use. Send one that the control plane takes already' },
        );
      }
      if (!(await clock.sleep(LOOK_INTERVAL_MS, signal))) {
        // When the daemon stops, its next start goes on.
        await (stopping.aborted ? undefined : ownToken.goBack());
        if (ownToken.settled() !== token) {
          throw new AgentError('COMMAND_CANCELLED', 'the token before is in use again');
        }
      }
    }
    return {
      output: 'The control plane takes the new token; the one before is forgotten here',
      data: { in_use: true as const },
    };
  },
});
