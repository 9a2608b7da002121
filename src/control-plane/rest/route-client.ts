import { AgentError } from '../../core/errors.ts';
import { parseBoundedJson } from '../../protocol/bounded-json.ts';
import {
  type RegisterRoute,
  ROUTE_PATHS,
  type SyncRoutes,
  type SyncTunnels,
  type Tunnel,
  TunnelsSynced,
} from '../../protocol/session/routes.ts';
import { type RestCall, type RestCallDeps, type RestCallOptions, restCall } from './call.ts';

/** Deadline of a call, as the existing agent has it. */
const TIMEOUT_MS = 30_000;

/** The calls about routes and tunnels. Errors: those of `restCall`. */
export interface RouteClient {
  register(route: RegisterRoute, signal: AbortSignal): Promise<void>;
  /** A host that the control plane does not know is not an error. */
  unregister(hostname: string, signal: AbortSignal): Promise<void>;
  sync(routes: SyncRoutes, signal: AbortSignal): Promise<void>;
  registerTunnel(tunnel: Tunnel, signal: AbortSignal): Promise<void>;
  /** A tunnel that the control plane does not know is not an error. */
  removeTunnel(clusterUuid: string, tunnelId: string, signal: AbortSignal): Promise<void>;
  /** @returns the tunnels that the control plane refuses, and why */
  syncTunnels(
    tunnels: SyncTunnels,
    signal: AbortSignal,
  ): Promise<readonly { readonly tunnel_id: string; readonly reason: string }[]>;
}

export function routeClient(deps: RestCallDeps, options: RestCallOptions): RouteClient {
  const call = (method: RestCall['method'], path: string, body: unknown, signal: AbortSignal) =>
    restCall(
      deps,
      options,
      {
        method,
        path,
        timeoutMs: TIMEOUT_MS,
        authorized: true,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      signal,
    );
  return {
    register: async (route, signal) => {
      await call('POST', ROUTE_PATHS.register(), route, signal);
    },
    unregister: (hostname, signal) =>
      unlessGone(call('POST', ROUTE_PATHS.unregister(), { hostname }, signal)),
    sync: async (routes, signal) => {
      await call('POST', ROUTE_PATHS.sync(), routes, signal);
    },
    registerTunnel: async (tunnel, signal) => {
      await call('POST', ROUTE_PATHS.tunnels(tunnel.cluster_uuid), tunnel, signal);
    },
    removeTunnel: (clusterUuid, tunnelId, signal) =>
      unlessGone(call('DELETE', ROUTE_PATHS.tunnel(clusterUuid, tunnelId), undefined, signal)),
    syncTunnels: async (tunnels, signal) => {
      const path = ROUTE_PATHS.syncTunnels(tunnels.cluster_uuid);
      return rejectedOf((await call('POST', path, tunnels, signal)).text);
    },
  };
}

async function unlessGone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (thrown) {
    if (!(thrown instanceof AgentError && thrown.code === 'NOT_FOUND')) {
      throw thrown;
    }
  }
}

/** The tunnels are synced whatever the answer says; only the refused ones are worth a log line. */
function rejectedOf(text: string) {
  return TunnelsSynced.safeParse(parseBoundedJson(text).value).data?.rejected ?? [];
}
