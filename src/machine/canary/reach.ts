import type { Probe } from '../../core/probe.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import type { CanaryReached, CanaryTargets } from '../../protocol/canary.ts';

/** Of one target. A packet that is lost once comes again after one second (RFC 6298). */
const REACH_LIMIT_MS = 3_500;

/**
 * Tries each target from wherever this process is: on the machine, or inside a pod's network. A refused
 * connection is an answer: the packet has come to the other pod, and its answer back.
 */
export async function reachTargets(
  { probe, signal }: { readonly probe: Probe; readonly signal: AbortSignal },
  { tcp, dns }: CanaryTargets,
): Promise<CanaryReached> {
  const [reached, answer] = await Promise.all([
    Promise.all(
      tcp.map(async ({ name, address, port }) => {
        const host = ipVersion(address) === 6 ? `[${address}]` : address;
        const { failure } = await probe.walk(
          {
            url: new URL(`http://${host}:${port}/`),
            address,
            proxy: undefined,
            ca: undefined,
            ask: 'answer',
            beginsSmall: false,
            stepLimitMs: REACH_LIMIT_MS,
          },
          signal,
        );
        const isDead = failure?.step === 'tcp' && failure.isRefused !== true;
        return { name, trouble: isDead ? failure.why : null };
      }),
    ),
    dns === null
      ? ({ kind: 'answered', ms: 0 } as const)
      : probe.askResolver(dns.server, dns.name, REACH_LIMIT_MS),
  ]);
  return { tcp: reached, dns: dnsTrouble(answer) };
}

function dnsTrouble(answer: Awaited<ReturnType<Probe['askResolver']>>): string | null {
  switch (answer.kind) {
    case 'answered':
      return null;
    case 'refused':
      return 'it refuses the question';
    case 'silent':
      return `no answer in ${REACH_LIMIT_MS / 1_000} s`;
    case 'unreachable':
      return answer.why;
  }
}
