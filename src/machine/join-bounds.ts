/** What a join token is bound to: checked here before anything is installed, and by the server after. */
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError } from '../core/errors.ts';
import { isInCidr } from '../core/ip-range.ts';
import { matchesGlob } from '../core/text/glob.ts';
import type { JoinTokenContent } from '../protocol/secrets/join-token.ts';
import type { MachineContext } from './context.ts';

type Bounds = Pick<JoinTokenContent, 'node' | 'from'>;

/** A token that is bound to one name gives it, where nobody has chosen another. */
export function nameOfToken({ node }: Bounds): string | undefined {
  return node === undefined || node.includes('*') ? undefined : node;
}

/** @throws AgentError JOIN_TOKEN_REJECTED */
export function checkBounds(
  context: Pick<MachineContext, 'addresses' | 'hostname'>,
  { node, from = [] }: Bounds,
  name: string | undefined,
): void {
  const wanted = nodeNameOf(context.hostname, name);
  if (node !== undefined && !matchesGlob(node, wanted)) {
    throw rejected(
      `The join token is for a node called "${node}", and this one would be "${wanted}"`,
      'Give that name with --node-name, or make a token for this one: ' +
        `sudo pipeops-agent token create --node-name ${wanted}, on the server`,
    );
  }
  const addresses = context.addresses();
  const isFrom = addresses.some((address) => from.some((cidr) => isInCidr(address, cidr)));
  if (from.length > 0 && !isFrom) {
    throw rejected(
      `The join token is for machines of ${from.join(', ')}, and this one has ${addresses.join(', ')}`,
      'Make a token for this machine: sudo pipeops-agent token create --from ADDRESS, on the server',
    );
  }
}

function rejected(message: string, hint: string): AgentError {
  return new AgentError('JOIN_TOKEN_REJECTED', message, { hint });
}
