import type { ExchangeSink } from '../http1/client/exchange.ts';
import type { ProxyCall, ProxyRequest } from '../http1/server/call.ts';
import type { ApiSources } from './api/sources.ts';
import type { DashboardDeps } from './dashboard/answers.ts';
import type { LocalAuth } from './local-auth.ts';

/** What the doors show. */
export interface ServerSources extends ApiSources {
  readonly auth: LocalAuth;
  /** Where the local token stands. */
  readonly tokenFile: string;
  /** Whose pages may ask the API: `https://ops.example.com`. */
  readonly corsOrigins: readonly string[];
  readonly dashboard: DashboardDeps;
  /** Absent on a worker: it has no credentials for the Kubernetes API. */
  readonly proxy?: ProxySource;
}

/** Carries a request to the Kubernetes API, and its answer into the sink. */
export interface ProxySource {
  readonly forward: (request: ProxyRequest, sink: ExchangeSink) => ProxyCall;
}

/** The socket is for root and the group of the agent; loopback is open to every user here. */
export type Door = 'loopback' | 'socket';
