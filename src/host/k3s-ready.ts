import { AgentError } from '../core/errors.ts';
import type { Clock, Exec, Http } from '../core/ports.ts';
import { kubectl } from './kubectl.ts';
import { K3S_UNITS, type K3sRole } from './paths.ts';
import { activeState, lastJournalLines } from './systemctl.ts';

/** A first start imports images and makes certificates; slow disks take minutes. */
const READY_TIMEOUT_MS = 10 * 60_000;
const POLL_INTERVAL_MS = 500;
/** Where the kubelet says how it is, loopback only. */
const KUBELET_HEALTH_URL = 'http://127.0.0.1:10248/healthz';
const PROBE_TIMEOUT_MS = 2_000;
/** Lines of the journal in which a refusal is looked for. */
const REFUSAL_LINES = 5;

interface ReadyDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly http: Http;
}

/**
 * Waits until this machine is a Ready node; shows the last line of k3s' journal meanwhile.
 * @throws AgentError K3S_NOT_READY, JOIN_TOKEN_REJECTED, INTERRUPTED
 */
export async function waitForNode(
  deps: ReadyDeps,
  role: K3sRole,
  hostname: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const endsAt = deps.clock.monotonic() + READY_TIMEOUT_MS;
  const unit = K3S_UNITS[role];
  while (!(await isNodeReady(deps, role, hostname))) {
    const lines = await lastJournalLines(deps, unit, REFUSAL_LINES);
    if (lines.some(isRefusal)) {
      throw new AgentError('JOIN_TOKEN_REJECTED', 'The server does not accept the join token', {
        hint: 'It may have been revoked. Make a new one on a server: pipeops-agent token create',
        details: { last_lines: lines },
      });
    }
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

/** What k3s' agent logs, again and again, when the server answers 401 or 403 to its token. */
function isRefusal(line: string): boolean {
  return (
    /level=(error|fatal)/.test(line) && /\b(401|403|unauthorized|not authorized)\b/i.test(line)
  );
}
