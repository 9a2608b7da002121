import { AgentError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { CLOSE_CODES, type HeartbeatPayload } from '../../protocol/session/messages.ts';
import { SILENT_HINT } from '../session/failure.ts';
import type { Pace } from '../session/pace.ts';
import type { Standing, StatusSummary } from '../session/ports.ts';
import type { SessionState } from '../session/state.ts';
import type { Connection } from './connection.ts';

/**
 * A peer that acknowledges heartbeats and then leaves this many unanswered is gone, even if
 * something in between still answers pings for it.
 */
const UNANSWERED_MAX = 3;

export interface Heartbeats {
  /** The peer acknowledged one. */
  acknowledged(): void;
  run(signal: AbortSignal): Promise<void>;
  /** The last one of a machine that leaves for good. */
  sayGoodbye(): void;
}

/** The first one at once, then at the pace of the control plane. */
export function heartbeats(
  deps: { readonly clock: Clock; readonly pace: Pace; readonly state: SessionState },
  connection: Connection,
  payload: () => HeartbeatPayload,
): Heartbeats {
  let unanswered: number | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  return {
    acknowledged: () => {
      unanswered = 0;
    },
    run: async (signal) => {
      while (!signal.aborted) {
        if (connection.partAt() > sentAt && unanswered !== undefined) {
          unanswered = 0; // The answer waits behind a big message that is still arriving.
        }
        if (unanswered !== undefined && unanswered >= UNANSWERED_MAX) {
          const message = `The control plane left ${unanswered} heartbeats unanswered`;
          connection.close(
            CLOSE_CODES.silent,
            new AgentError('CONTROL_PLANE_UNREACHABLE', message, { hint: SILENT_HINT }),
          );
          return;
        }
        connection.send('heartbeat', payload());
        sentAt = deps.clock.monotonic();
        deps.state.advanced();
        unanswered = unanswered === undefined ? undefined : unanswered + 1;
        await deps.clock.sleep(deps.pace.heartbeatMs(), signal);
      }
    },
    sayGoodbye: () => {
      connection.send('heartbeat', {
        ...payload(),
        status: 'disconnected',
        tunnel_status: 'disconnected',
      });
    },
  };
}

export function heartbeatPayload(
  ids: { readonly agentId: string; readonly clusterId: string; readonly version: string },
  summary: StatusSummary,
  standing: Standing,
): HeartbeatPayload {
  return {
    cluster_id: ids.clusterId,
    agent_id: ids.agentId,
    status: 'healthy',
    // What carries the heartbeat carries the tunnel.
    tunnel_status: 'connected',
    metadata: {
      agent_version: ids.version,
      k8s_version: summary.kubernetesVersion,
      k8s_nodes: summary.nodes,
      k8s_pods: summary.pods,
      cpu_usage: `${Math.round(summary.cpuPercent)}%`,
      memory_usage: `${Math.round(summary.memoryPercent)}%`,
      is_private: standing.isPrivate,
      gateway_routes: standing.routes,
      ...standing.health,
    },
  };
}
