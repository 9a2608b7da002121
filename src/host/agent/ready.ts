import { AgentError, type ErrorCode, expectedError, isErrorCode } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import type { DetailedHealth, Reason } from '../../protocol/local-api.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { hasFailed, type UnitWatch } from '../engine/unit-watch.ts';
import { startFailure } from './service.ts';

/** Registration is tried again every few seconds. A control plane may just be slow. */
const READY_TIMEOUT_MS = 120_000;
const POLL_INTERVAL_MS = 250;
/** Reasons that waiting does not remove. */
const FINAL_REASONS: readonly string[] = [
  'TOKEN_REJECTED',
  'AGENT_REVOKED',
  'DISK_FULL',
  'POLICY_INVALID',
];

/** Questions to the daemon on its socket. Both throw AgentError DAEMON_UNREACHABLE. */
export interface DaemonWord {
  readonly health: () => Promise<DetailedHealth>;
  /** Makes the daemon read its files again and try at once. Its later answers are about those files. */
  readonly tryNow: () => Promise<unknown>;
}

interface Deps {
  readonly clock: Clock;
  readonly daemon: DaemonWord;
  readonly watch: UnitWatch;
}

/** What the person is told at the end, and so must be true of the daemon. */
export interface AgentExpectation {
  readonly version: string;
  readonly role: 'server' | 'node';
  /** Null where the machine speaks for no cluster. */
  readonly clusterName: string | null;
  /** Null where the machine has no session of its own; undefined: another server decides that. */
  readonly controlPlane: string | null | undefined;
}

/**
 * Waits until the daemon says that it is ready (it is registered and Kubernetes answers; on a worker, the
 * kubelet is healthy) and until it is as expected. Fails with the daemon's own reason.
 */
export function waitForAgent(
  deps: Deps,
  expected: AgentExpectation,
  signal: AbortSignal,
): Resource {
  const { clock, daemon, watch } = deps;
  const ask = () => daemon.health().catch(unanswered);
  return {
    id: 'agent-ready',
    title: 'Wait until the agent is ready',
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    changes: async () => [],
    isDone: async () => {
      const health = await ask();
      return health?.ready === true && difference(expected, health) === undefined;
    },
    apply: async (update) => {
      let isTold = false;
      const pace = { everyMs: POLL_INTERVAL_MS, limitMs: READY_TIMEOUT_MS };
      const end = await pollUntil(clock, pace, signal, async () => {
        // Until then its answer may be about an older token or an earlier try.
        isTold ||= (await daemon.tryNow().catch(unanswered)) !== undefined;
        const health = isTold ? await ask() : undefined;
        const verdict = health === undefined ? undefined : judge(expected, health);
        if (verdict === 'ready') {
          return { found: verdict };
        }
        if (verdict?.isFinal === true) {
          throw notReady(verdict.reason);
        }
        const report = await watch.look();
        if (hasFailed(report)) {
          throw startFailure(report);
        }
        update(verdict?.reason.message ?? 'the agent starts');
        return { soFar: { verdict, report } };
      });
      if (end.kind === 'aborted') {
        throw new AgentError('INTERRUPTED', 'Interrupted while waiting for the agent', {
          hint: 'It goes on by itself. See how it is: pipeops-agent status',
        });
      }
      if (end.kind === 'late') {
        const { verdict, report } = end.soFar;
        throw verdict === undefined ? startFailure(report) : notReady(verdict.reason);
      }
    },
  };
}

/** A daemon that does not listen yet, or is of another version, counts as not ready. */
function unanswered(thrown: unknown): undefined {
  expectedError(thrown);
}

type Verdict = 'ready' | { readonly reason: Reason; readonly isFinal: boolean };

function judge(expected: AgentExpectation, health: DetailedHealth): Verdict {
  const other = difference(expected, health);
  if (other !== undefined) {
    return { reason: other, isFinal: true };
  }
  if (health.ready) {
    return 'ready';
  }
  // If only a gateway refuses the token, the daemon asks the controller next.
  const isFinal = ({ code }: Reason) =>
    FINAL_REASONS.includes(code) &&
    (code !== 'TOKEN_REJECTED' || health.session.phase === 'refused');
  const final = health.reasons.find(isFinal);
  const first = health.reasons[0] ?? { code: 'TIMEOUT', message: 'it does not say why' };
  return { reason: final ?? first, isFinal: final !== undefined };
}

/** How the running daemon differs from what the person would be told; undefined where it does not. */
function difference(expected: AgentExpectation, health: DetailedHealth): Reason | undefined {
  const { agent, session } = health;
  if (typeof expected.controlPlane === 'string' && session.phase === 'standalone') {
    return {
      code: 'TOKEN_REJECTED',
      message: 'it has no control-plane token, and is standalone',
      hint: 'Give the token again: sudo pipeops-agent install --token-file FILE',
    };
  }
  const pairs = [
    ['of version', expected.version, agent.version],
    ['in the role', expected.role, agent.role],
    ['for the cluster', expected.clusterName ?? agent.cluster_name, agent.cluster_name],
    ['at the control plane', wantedControlPlane(expected, health), controlPlaneOf(health)],
  ] as const;
  const wrong = pairs.find(([, wanted, found]) => wanted !== found);
  return wrong === undefined
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `it runs ${wrong[0]} ${wrong[2]} instead of ${wrong[1]}`,
        hint: 'See what its unit adds: systemctl cat pipeops-agent. Then start it again: sudo systemctl restart pipeops-agent',
      };
}

function wantedControlPlane({ controlPlane }: AgentExpectation, health: DetailedHealth): string {
  return controlPlane === undefined ? controlPlaneOf(health) : (controlPlane ?? 'none');
}

function controlPlaneOf({ session }: DetailedHealth): string {
  return session.phase === 'standalone' ? 'none' : (session.control_plane ?? 'none');
}

function notReady({ code, message, hint }: Reason): AgentError {
  const known: ErrorCode = isErrorCode(code) ? code : 'TIMEOUT';
  return new AgentError(known, `The agent runs, but is not ready: ${message}`, {
    hint: hint ?? 'It keeps trying. See how it is: pipeops-agent status',
  });
}
