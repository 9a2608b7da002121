/** What has to be asked to know how the agent is; an answer is reused for a second. */
import { type AgentError, toAgentError } from '../core/errors.ts';
import { firstAnswer } from '../core/first-answer.ts';
import { KUBELET_HEALTH_URLS } from '../core/k3s-ports.ts';
import type { Clock, Http } from '../core/ports.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';

const PROBE_TIMEOUT_MS = 3_000;
/** An answer is reused for this long, so that many callers cost one probe. */
const PROBE_KEPT_MS = 1_000;

/** Why the API server does not answer; undefined while it does. */
export async function kubernetesTrouble({
  clock,
  kubernetes,
}: {
  readonly clock: Clock;
  readonly kubernetes: KubernetesClient;
}): Promise<AgentError | undefined> {
  try {
    await within(clock, PROBE_TIMEOUT_MS, undefined, (signal) =>
      kubernetes.find('/version', signal),
    );
    return undefined;
  } catch (thrown) {
    return toAgentError(thrown);
  }
}

/** What the kubelet does instead of being healthy, as the end of a sentence; undefined while it is. */
export async function kubeletTrouble({
  clock,
  http,
}: {
  readonly clock: Clock;
  readonly http: Http;
}): Promise<string | undefined> {
  try {
    const { ok, status } = await within(clock, PROBE_TIMEOUT_MS, undefined, (signal) =>
      firstAnswer(KUBELET_HEALTH_URLS, (url) => http(url, { signal })),
    );
    return ok ? undefined : `it answers ${status}`;
  } catch {
    return 'it does not answer';
  }
}

/** One probe for everybody who asks within a short time, a second unless told otherwise. */
export function cached<T>(
  clock: Clock,
  probe: () => Promise<T>,
  keptMs = PROBE_KEPT_MS,
): () => Promise<T> {
  let at = Number.NEGATIVE_INFINITY;
  let known: Promise<T> | undefined;
  return () => {
    if (known === undefined || clock.monotonic() - at > keptMs) {
      at = clock.monotonic();
      known = probe();
    }
    return known;
  };
}
