/** A request through the proxy, as a door sees it. */
import type { HeaderList } from '../head.ts';

export interface ProxyRequest {
  readonly method: string;
  /** Path and query of the Kubernetes API, raw as they came: `/api/v1/pods?limit=1`. */
  readonly target: string;
  readonly headers: HeaderList;
  /** Who asks, for fair turns: a name, never a secret. */
  readonly client: string;
  /**
   * Aborted when the door closes. A request that has no end of its own is then ended as if the API
   * server had ended it, so that clients ask again; all others go on.
   */
  readonly leaving?: AbortSignal;
}

/** The caller's side of a request: its body goes in here. */
export interface ProxyCall {
  /** @returns false when the caller must wait for `drained` */
  write(chunk: Uint8Array): boolean;
  /** The body, or the caller's side of an upgraded connection, is whole. */
  endRequest(): void;
  pause(): void;
  resume(): void;
  /** The caller has gone. The sink hears nothing more. */
  abort(): void;
}
