import type { ErrorCode } from '../../core/errors.ts';

/** Who is at an address, for what errors say. */
export interface UpstreamPeer {
  readonly code: ErrorCode;
  /** It begins sentences: `Kubernetes`, `Service shop/web, port 80`. */
  readonly name: string;
  /** What to look at when there is no connection, or no longer one. */
  readonly hint: string;
  /** What to look at when its answer cannot be used. */
  readonly answerHint: string;
}

export interface UpstreamAddress {
  readonly peer: UpstreamPeer;
  readonly hostname: string;
  readonly port: number;
  /** How it proves who it is: by a certificate of this authority (PEM), by any, or without TLS. */
  readonly trust: { readonly ca: string } | 'any-certificate' | 'plain';
}
