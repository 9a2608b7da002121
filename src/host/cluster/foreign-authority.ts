/** A server whose certificate is of another authority than the one that a join token is for. */
import { X509Certificate } from 'node:crypto';
import { AgentError } from '../../core/errors.ts';
import type { Probe } from '../../core/probe.ts';
import { withoutBrackets } from '../../core/text/host-and-port.ts';

const STEP_LIMIT_MS = 2_500;

export interface ForeignServer {
  readonly server: string;
  /** With the authority's name, where that was seen: completes a sentence. */
  readonly why: string;
}

/**
 * Looks at the certificate once more, for the name of who made it. The server is asked nothing.
 * @param why what is known without that
 */
export async function foreignServer(
  { probe, signal }: { readonly probe: () => Promise<Probe>; readonly signal: AbortSignal },
  server: string,
  ca: string,
  why: string,
): Promise<ForeignServer> {
  const url = new URL(server);
  try {
    const { resolve, walk } = await probe();
    const [address] = await resolve(withoutBrackets(url.hostname), STEP_LIMIT_MS);
    const way = { url, ca, proxy: undefined, ask: 'answer', beginsSmall: false } as const;
    const walked =
      address === undefined
        ? undefined
        : await walk({ ...way, address, stepLimitMs: STEP_LIMIT_MS }, signal);
    const { failure } = walked ?? {};
    return { server, why: failure?.kind === 'authority' ? failure.why : why };
  } catch {
    return { server, why }; // It has gone meanwhile; what is known is enough.
  }
}

/** @param ca of the token (PEM) */
export function foreignAuthority(foreign: readonly ForeignServer[], ca: string): AgentError {
  const reasons = foreign.map(({ server, why }) => `${server}: ${why}`);
  const name = nameOfAuthority(ca);
  return new AgentError(
    'SERVER_UNREACHABLE',
    "No server has a certificate of the token's cluster" +
      `${name === undefined ? '' : `, whose authority is "${name}"`}: ${reasons.join('; ')}`,
    {
      hint:
        'The token is of another cluster, or its servers were set up anew since the token was made: make one ' +
        'there now, sudo pipeops-agent token create. If the authority is not one of k3s, something between opens TLS',
      details: {
        reasons,
        authority_sha256: new Bun.CryptoHasher('sha256').update(ca).digest('hex'),
      },
    },
  );
}

/** Of k3s they have the time of their making: `k3s-server-ca@1764500000`. */
function nameOfAuthority(ca: string): string | undefined {
  try {
    return /^CN=(.+)$/m.exec(new X509Certificate(ca).subject)?.[1];
  } catch {
    return undefined; // Then no server can be known by it either.
  }
}
