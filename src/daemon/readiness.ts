import type { SessionSnapshot } from '../control-plane/session/state.ts';
import { type AgentError, toAgentError } from '../core/errors.ts';
import type { Clock, Http } from '../core/ports.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import type { ReadyAnswer, Reason } from '../protocol/local-api.ts';

/** Where the kubelet reports its health (kubelet --healthz-port, loopback only). */
const KUBELET_HEALTH_URL = 'http://127.0.0.1:10248/healthz';
const PROBE_TIMEOUT_MS = 3_000;
/** An answer is reused for this long, so that many callers cost one probe. */
const PROBE_KEPT_MS = 1_000;

export type Readiness = (signal: AbortSignal) => Promise<ReadyAnswer>;

/** A server is ready when its session works, its policy is usable, and Kubernetes answers. */
export function serverReadiness(deps: {
  readonly clock: Clock;
  readonly kubernetes: KubernetesClient;
  readonly session: () => SessionSnapshot;
  /** Set while everything is refused because the policy file cannot be used. */
  readonly policyProblem: () => AgentError | undefined;
  /** Set while nothing can be written: commands wait until the disk takes them again. */
  readonly journalTrouble: () => AgentError | undefined;
}): Readiness {
  const kubernetesReasons = cached(deps.clock, () => askKubernetes(deps));
  return async () => {
    const kubernetes = await kubernetesReasons();
    // Asked last, and each time: an earlier state of the session may belong to another token.
    const reasons = sessionReasons(deps.clock, deps.session());
    for (const problem of [deps.policyProblem(), deps.journalTrouble()]) {
      if (problem !== undefined) {
        reasons.push(reasonOf(problem));
      }
    }
    return readyAnswer([...reasons, ...kubernetes]);
  };
}

async function askKubernetes({
  clock,
  kubernetes,
}: {
  readonly clock: Clock;
  readonly kubernetes: KubernetesClient;
}): Promise<readonly Reason[]> {
  try {
    await within(clock, PROBE_TIMEOUT_MS, undefined, (signal) =>
      kubernetes.find('/version', signal),
    );
    return [];
  } catch (thrown) {
    return [reasonOf(thrown)];
  }
}

/** A worker is ready when its kubelet is healthy. */
export function nodeReadiness(deps: { readonly clock: Clock; readonly http: Http }): Readiness {
  const kubeletReasons = cached(deps.clock, () => askKubelet(deps));
  return async () => readyAnswer(await kubeletReasons());
}

async function askKubelet({
  clock,
  http,
}: {
  readonly clock: Clock;
  readonly http: Http;
}): Promise<readonly Reason[]> {
  try {
    const { ok, status } = await within(clock, PROBE_TIMEOUT_MS, undefined, (signal) =>
      http(KUBELET_HEALTH_URL, { signal }),
    );
    return ok ? [] : [kubeletReason(`it answers ${status}`)];
  } catch {
    return [kubeletReason('it does not answer')];
  }
}

function readyAnswer(reasons: readonly Reason[]): ReadyAnswer {
  return { ready: reasons.length === 0, reasons: [...reasons] };
}

function kubeletReason(what: string): Reason {
  return {
    code: 'K3S_NOT_READY',
    message: `The kubelet is not healthy: ${what}`,
    hint: 'Look at: systemctl status k3s-agent',
  };
}

function sessionReasons(clock: Clock, session: SessionSnapshot): Reason[] {
  switch (session.phase) {
    case 'standalone':
    case 'standby':
    case 'connected':
      return [];
    case 'registering':
    case 'refused':
    case 'unreachable': {
      const { lastError } = session;
      const code = lastError?.code ?? 'NOT_REGISTERED';
      const what = lastError?.message ?? 'The control plane has not answered yet';
      const message = `${what} (${outage(clock, session)})`;
      const hint = lastError?.hint ?? null;
      return [hint === null ? { code, message } : { code, message, hint }];
    }
  }
}

function outage(clock: Clock, session: SessionSnapshot): string {
  const since = `no session since ${session.downSince ?? session.since}`;
  if (session.nextTry === null) {
    return since;
  }
  const inMs = new Date(session.nextTry).getTime() - clock.now().getTime();
  return `${since}, next try in ${Math.max(0, Math.ceil(inMs / 1_000))} s`;
}

export function reasonOf(thrown: unknown): Reason {
  const error = toAgentError(thrown);
  const { code, message, hint } = error;
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** One probe for everybody who asks within a short time. */
export function cached<T>(clock: Clock, probe: () => Promise<T>): () => Promise<T> {
  let at = Number.NEGATIVE_INFINITY;
  let known: Promise<T> | undefined;
  return () => {
    if (known === undefined || clock.monotonic() - at > PROBE_KEPT_MS) {
      at = clock.monotonic();
      known = probe();
    }
    return known;
  };
}
