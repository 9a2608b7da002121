import { AgentError } from '../core/errors.ts';

/** The headers of a dial. @throws AgentError TOKEN_REJECTED where there is no token */
export async function authorization(
  deps: { readonly token: () => Promise<string | undefined> },
  options: { readonly version: string },
): Promise<Readonly<Record<string, string>>> {
  const token = await deps.token();
  if (token === undefined) {
    throw new AgentError('TOKEN_REJECTED', 'There is no control-plane token', {
      hint: 'Give one: pipeops-agent install --token-file FILE',
    });
  }
  return {
    authorization: `Bearer ${token}`,
    'user-agent': `PipeOps-Agent/${options.version}`,
  };
}
