import { AgentError, messageOf } from '../../core/errors.ts';
import { parseControlPlaneToken } from '../../protocol/secrets/control-plane-token.ts';

interface TokenDeps {
  /** The content of the token's file; undefined where there is no file. */
  readonly token: () => Promise<string | undefined>;
}

/**
 * The token to send to the control plane. Whatever is in the file, another kind of secret or a text
 * that a header cannot carry is never sent.
 * @throws AgentError TOKEN_REJECTED where there is no token that can be sent
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

/**
 * The headers of a dial.
 * @throws AgentError as `usableToken`
 */
export async function authorization(
  deps: TokenDeps,
  options: { readonly version: string },
): Promise<Readonly<Record<string, string>>> {
  return {
    authorization: `Bearer ${await usableToken(deps)}`,
    'user-agent': `PipeOps-Agent/${options.version}`,
  };
}
