import type { Clock } from '../core/ports.ts';

/** Failures in a row after which the gateway is left alone. */
const GATEWAY_FAILURES_MAX = 3;
/** How long at first; doubles up to the longest. Meanwhile the controller serves. */
const GATEWAY_REST_MS = { first: 5 * 60_000, longest: 30 * 60_000 };

/** Whether the gateway may be dialled now, or is left alone because it stays away. */
export interface GatewayPolicy {
  allowed(): boolean;
  /** Until it is allowed again, ms; 0 when it is. */
  restMs(): number;
  /** @param refused it answered, and will answer the same again */
  failed(refused: boolean): void;
  succeeded(): void;
}

export function gatewayPolicy(clock: Clock): GatewayPolicy {
  let failures = 0;
  let rests = 0;
  let restUntil = Number.NEGATIVE_INFINITY;
  const restMs = () => Math.max(0, restUntil - clock.monotonic());
  return {
    allowed: () => restMs() === 0,
    restMs,
    failed: (refused) => {
      failures += 1;
      if (refused || failures >= GATEWAY_FAILURES_MAX) {
        failures = 0;
        restUntil =
          clock.monotonic() + Math.min(GATEWAY_REST_MS.longest, GATEWAY_REST_MS.first * 2 ** rests);
        rests = Math.min(rests + 1, 10);
      }
    },
    succeeded: () => {
      failures = 0;
      rests = 0;
    },
  };
}

/**
 * The address to dial, with what the agent can do in its query.
 * @returns undefined for what is no address, or one where the token would cross in clear text
 */
export function gatewayAddress(
  given: string,
  clusterUuid: string,
  options: { readonly version: string; readonly allowInsecure: boolean },
): string | undefined {
  const url = URL.parse(given.replace(/^http(s?):/i, 'ws$1:'));
  if (url === null || !(url.protocol === 'wss:' || url.protocol === 'ws:')) {
    return undefined;
  }
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'ws:' && !isLoopback && !options.allowInsecure) {
    return undefined;
  }
  if (url.pathname === '/') {
    url.pathname = '/ws';
  }
  const query = {
    cluster_uuid: clusterUuid,
    supports_streaming: 'true',
    supports_binary: 'true',
    supports_websocket: 'true',
    supports_yamux: 'true',
    supports_response_streaming: 'true',
    agent_version: options.version,
  };
  for (const [name, value] of Object.entries(query)) {
    url.searchParams.set(name, value);
  }
  return url.href;
}

/** The controller's WebSocket: the control plane's address with another scheme and path. */
export function controllerAddress(apiUrl: string, path: string): string {
  const url = new URL(apiUrl.replace(/^http(s?):/i, 'ws$1:'));
  url.pathname = path;
  return url.href;
}
