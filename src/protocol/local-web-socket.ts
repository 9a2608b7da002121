/** Messages of `/ws`, as the dashboard of earlier agents knows them. Field names are wire-exact. */

/** What the agent sends. */
export interface SocketMessage {
  readonly type: 'status' | 'pong' | 'status_response' | 'metrics_response' | 'error';
  /** ISO time. */
  readonly timestamp: string;
  readonly data: object;
}

/** What it is asked. Other fields are passed over. */
export const SOCKET_QUESTIONS = ['ping', 'get_status', 'get_metrics'] as const;
export type SocketQuestion = (typeof SOCKET_QUESTIONS)[number];

/** The first message: `status`. */
export interface SocketStatus {
  readonly agent_id: string;
  readonly status: 'connected';
  readonly features: object;
}

export interface SocketStatusResponse {
  readonly agent_id: string;
  /** `3h20m5s`. */
  readonly uptime: string;
  readonly ready: boolean;
  /** Why it is not ready. Absent where it is. */
  readonly error?: string;
  /** null on a worker, and while nobody knows. */
  readonly cluster_status: { readonly nodes: number; readonly nodes_ready: number } | null;
  readonly tunnel: { readonly enabled: boolean; readonly type: 'yamux' };
  readonly features: object;
}

export interface SocketMetrics {
  readonly memory: { readonly alloc_mb: number; readonly sys_mb: number };
  /** Always 1: the agent has one event loop. */
  readonly goroutines: 1;
  readonly uptime: string;
  readonly timestamp: string;
}
