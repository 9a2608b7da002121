import { AgentError, messageOf } from '../../core/errors.ts';
import { parseControlPlaneToken } from '../../protocol/secrets/control-plane-token.ts';

interface TokenDeps {
  /** What stands in the token's file; undefined where there is none. */
  readonly token: () => Promise<string | undefined>;
}

/**
 * The token that goes to the control plane: nothing that is another secret, or that a header cannot
 * carry, whoever wrote it into the file.
 * @throws AgentError TOKEN_REJECTED where there is none that can be sent
 */
export async function usableToken(deps: TokenDeps): Promise<string> {
  const hint = 'Give one: sudo pipeops-agent install --token-file FILE';
  let token: string | undefined;
  try {
    token = parseControlPlaneToken((await deps.token()) ?? '');
  } catch (cause) {
    throw new AgentError('TOKEN_REJECTED', messageOf(cause), { hint, cause });
  }
  if (token === undefined) {
    throw new AgentError('TOKEN_REJECTED', 'There is no control-plane token', { hint });
  }
  return token;
}

/** The headers of a dial. @throws AgentError as `usableToken` */
export async function authorization(
  deps: TokenDeps,
  options: { readonly version: string },
): Promise<Readonly<Record<string, string>>> {
  return {
    authorization: `Bearer ${await usableToken(deps)}`,
    'user-agent': `PipeOps-Agent/${options.version}`,
  };
}
