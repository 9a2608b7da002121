import { AgentError } from '../../core/errors.ts';
import { RotateTokenData, RotateTokenPayload } from '../../protocol/commands/machine.ts';
import { commandHandler } from '../engine/handler.ts';

/** While the control plane is away, the new token stays on trial. */
const TIMEOUT_MS = 3_600_000;
const LOOK_INTERVAL_MS = 200;

/**
 * rotate_token: another token for the session. It is tried, and the one before is forgotten only when the control
 * plane has let the agent in with the new one. A rerun after a crash goes on with the trial.
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
    const { clock, signal, stopping, ownToken } = context;
    context.progress('The session begins anew with the new token');
    await ownToken.begin(token);
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
