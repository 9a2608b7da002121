import { AgentError } from '../core/errors.ts';
import type { Clock, Exec, Http } from '../core/ports.ts';
import { refusalOf } from './k3s-refusal.ts';
import { kubectl } from './kubectl.ts';
import { K3S_UNITS, type K3sRole } from './paths.ts';
import { activeState, invocationOf, journalOfStart, lastJournalLines } from './systemctl.ts';

/** A first start imports images and makes certificates; slow disks take minutes. */
const READY_TIMEOUT_MS = 10 * 60_000;
const POLL_INTERVAL_MS = 500;
/** Where the kubelet says how it is, loopback only. */
const KUBELET_HEALTH_URL = 'http://127.0.0.1:10248/healthz';
const PROBE_TIMEOUT_MS = 2_000;
/** Lines of the journal in which a refusal is looked for. */
const REFUSAL_LINES = 5;
/** Lines of the journal that a failure carries. */
const SHOWN_LINES = 5;

interface ReadyDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly http: Http;
}

export interface NodeWait {
  readonly role: K3sRole;
  readonly hostname: string;
  /** The start of k3s that was ended before this one: what it said does not count. */
  readonly endedInvocation: string | undefined;
}

/**
 * Waits until this machine is a Ready node; shows the last line of k3s' journal meanwhile.
 * @throws AgentError K3S_NOT_READY, JOIN_TOKEN_REJECTED, NODE_NAME_TAKEN, INTERRUPTED
 */
export async function waitForNode(
  deps: ReadyDeps,
  waiting: NodeWait,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { role, hostname } = waiting;
  const endsAt = deps.clock.monotonic() + READY_TIMEOUT_MS;
  const unit = K3S_UNITS[role];
  while (!(await isNodeReady(deps, role, hostname))) {
    const refusal = role === 'agent' ? await refusalNow(deps, unit, waiting) : undefined;
    if (refusal !== undefined) {
      throw refusal;
    }
    const lines = await lastJournalLines(deps, unit, SHOWN_LINES);
    if ((await activeState(deps, unit)) === 'failed' || deps.clock.monotonic() > endsAt) {
      throw new AgentError('K3S_NOT_READY', `k3s did not become ready: ${lines.at(-1) ?? ''}`, {
        hint: `Look at: journalctl -u ${unit}`,
        details: { last_lines: lines },
      });
    }
    update(lines.at(-1) ?? 'k3s starts');
    if (!(await deps.clock.sleep(POLL_INTERVAL_MS, signal))) {
      throw new AgentError('INTERRUPTED', 'Interrupted while waiting for k3s', {
        hint: 'Run the same command again: it goes on where it ended',
      });
    }
  }
}

/** A server's own journal tells of other machines that it refused; a worker's only of itself. */
async function refusalNow(
  deps: ReadyDeps,
  unit: string,
  { hostname, endedInvocation }: NodeWait,
): Promise<AgentError | undefined> {
  const invocation = await invocationOf(deps, unit);
  if (invocation === '' || invocation === endedInvocation) {
    return undefined;
  }
  const lines = await journalOfStart(deps, invocation, REFUSAL_LINES);
  return refusalOf(lines, hostname.toLowerCase());
}

/** A server asks its own API; a worker has no credentials and asks its kubelet. */
export async function isNodeReady(
  deps: Pick<ReadyDeps, 'exec' | 'http'>,
  role: K3sRole,
  hostname: string,
): Promise<boolean> {
  if ((await activeState(deps, K3S_UNITS[role])) !== 'active') {
    return false;
  }
  return role === 'server' ? isApiNodeReady(deps, hostname) : isKubeletHealthy(deps);
}

async function isApiNodeReady(deps: Pick<ReadyDeps, 'exec'>, hostname: string): Promise<boolean> {
  const path = '{.status.conditions[?(@.type=="Ready")].status}';
  const name = hostname.toLowerCase();
  const result = await kubectl(deps, ['get', 'node', name, '-o', `jsonpath=${path}`]);
  return result.exitCode === 0 && result.stdout.trim() === 'True';
}

async function isKubeletHealthy(deps: Pick<ReadyDeps, 'http'>): Promise<boolean> {
  try {
    const response = await deps.http(KUBELET_HEALTH_URL, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // Not listening yet: the answer is "not healthy".
  }
}
