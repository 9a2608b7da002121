import { isLoopback } from '../../core/loopback.ts';
import type { Clock } from '../../core/ports.ts';
import { inUrl, withoutBrackets } from '../../core/text/host-and-port.ts';
import { normalAddress } from '../../core/text/normal-address.ts';

/** Failures in a row after which the gateway is left alone. */
const GATEWAY_FAILURES_MAX = 3;
/**
 * How long it is left alone at first; doubles up to the longest. Meanwhile the controller serves.
 */
const GATEWAY_REST_MS = { first: 5 * 60_000, longest: 30 * 60_000 };

/**
 * How long the gateway that the controller named stays valid. It is never kept beyond the process:
 * a thief of the control plane must not name a gateway for ever.
 */
const GATEWAY_NAMED_MS = 12 * 3_600_000;

/** Which gateway may be dialled now, and which is left alone because it keeps failing. */
export interface GatewayPolicy {
  /** The controller has named this gateway, or none. */
  named(url: string | undefined): void;
  /** The gateway that the controller has named, while that is valid. */
  known(): string | undefined;
  /** Until the controller is to be asked again, ms. */
  askInMs(): number;
  allowed(): boolean;
  /** Until it is allowed again, ms; 0 when it is. */
  restMs(): number;
  /** @param refused it answered, and would answer the same again */
  failed(refused: boolean): void;
  succeeded(): void;
}

export function gatewayPolicy(clock: Clock): GatewayPolicy {
  let failures = 0;
  let rests = 0;
  let restUntil = Number.NEGATIVE_INFINITY;
  let gateway: { readonly url: string | undefined; readonly until: number } | undefined;
  const askInMs = () => Math.max(0, (gateway?.until ?? 0) - clock.monotonic());
  const restMs = () => Math.max(0, restUntil - clock.monotonic());
  return {
    named: (url) => {
      gateway = { url, until: clock.monotonic() + GATEWAY_NAMED_MS };
    },
    known: () => (askInMs() > 0 ? gateway?.url : undefined),
    askInMs,
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

export interface GatewayRules {
  readonly version: string;
  /** Of the control plane. */
  readonly apiUrl: string;
  /** The token may cross in clear text to hosts that are not this one. */
  readonly allowInsecure: boolean;
  /** Root's list: `gw.example` or `*.gw.example`. Without a list, any host. */
  readonly gatewayHosts?: readonly string[] | undefined;
}

/**
 * The address to dial, with the agent's abilities in its query.
 * @returns undefined where it is not an address, not a host that root allows, this machine although
 *   the control plane is elsewhere, or where the token would cross in clear text
 */
export function gatewayAddress(
  given: string,
  clusterUuid: string,
  options: GatewayRules,
): string | undefined {
  const url = URL.parse(given.replace(/^http(s?):/i, 'ws$1:'));
  if (url === null || !(url.protocol === 'wss:' || url.protocol === 'ws:')) {
    return undefined;
  }
  const isHere = isLoopback(url.hostname);
  const mayBeHere = isLoopback(URL.parse(options.apiUrl)?.hostname ?? '');
  const isClear = url.protocol === 'ws:' && !isHere && !options.allowInsecure;
  if (isClear || (isHere && !mayBeHere) || !isPinned(url.hostname, options.gatewayHosts)) {
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

function isPinned(host: string, pinned: readonly string[] = []): boolean {
  return (
    pinned.length === 0 ||
    pinned.some((each) => {
      const name = inUrl(normalAddress(withoutBrackets(each.toLowerCase())));
      return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name;
    })
  );
}

/** The controller's WebSocket: the control plane's address with another scheme and path. */
export function controllerAddress(apiUrl: string, path: string): string {
  const url = new URL(apiUrl.replace(/^http(s?):/i, 'ws$1:'));
  url.pathname = path;
  return url.href;
}
