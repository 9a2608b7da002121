import { AgentError } from '../../core/errors.ts';

/**
 * A refused token is believed when it was refused so often in a row: a k3s that starts refuses everybody
 * until it knows its tokens (k3s, "pkg/server/auth").
 */
export const REFUSALS_TO_BELIEVE = 3;
/** From the first to the last of them, where nobody knows whether the server has started. */
export const REFUSED_FOR_MS = 20_000;
/** What k3s' agent asks for when it joins. Only a refusal of that counts. */
const ASKED_TO_JOIN =
  /\/v1-k3s\/|\/cacerts\b|CA certs|agent config|connection to cluster|token is not valid/;
const REFUSED = /\b(401|403|unauthorized|not authorized)\b/i;
/** k3s, pkg/agent/config and pkg/nodepassword. Logged as an error, in later versions as info. */
const WRONG_PASSWORD = /Node password rejected/i;
const WRONG_CLUSTER = /token CA hash does not match/i;

/**
 * Why the server does not accept this machine, as k3s' agent logs it again and again.
 * @param lines of the journal since its last start, oldest first; the newest one counts
 */
export function rejectionOf(lines: readonly string[], node: string): AgentError | undefined {
  for (const line of lines.toReversed()) {
    const rejection = rejectionIn(line, node);
    if (rejection !== undefined) {
      return new AgentError(rejection.code, rejection.message, {
        hint: rejection.hint,
        details: { last_lines: lines },
      });
    }
  }
  return undefined;
}

function rejectionIn(
  line: string,
  node: string,
): (Pick<AgentError, 'code' | 'message'> & { readonly hint: string }) | undefined {
  if (WRONG_PASSWORD.test(line)) {
    return {
      code: 'NODE_NAME_TAKEN',
      message: `The cluster knows another machine by the name "${node}"`,
      hint:
        'If it is this machine, set up anew, take the old node out on a server, then run this ' +
        `again: sudo k3s kubectl delete node ${node}. Else give this machine another host name`,
    };
  }
  if (WRONG_CLUSTER.test(line)) {
    return {
      code: 'JOIN_TOKEN_REJECTED',
      message: 'The token is of another cluster than the server',
      hint: 'Make one on a server of that cluster: sudo pipeops-agent token create',
    };
  }
  if (/level=(error|fatal)/.test(line) && ASKED_TO_JOIN.test(line) && REFUSED.test(line)) {
    return joinTokenRejected();
  }
  return undefined;
}

/** The error for a token that the server does not know, or no longer knows. */
export function joinTokenRejected(): {
  readonly code: 'JOIN_TOKEN_REJECTED';
  readonly message: string;
  readonly hint: string;
} {
  return {
    code: 'JOIN_TOKEN_REJECTED',
    message: 'The server does not accept the join token: it was revoked, or has ended',
    hint: 'Make a new one on a server: sudo pipeops-agent token create',
  };
}
