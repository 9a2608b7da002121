/** Looking at the network itself: each step of the way to a server, timed, so that the one that fails has a name. */
import type { TroubleKind } from './network-trouble.ts';
import type { ProxyServer } from './proxy-settings.ts';

/** In this order, as far as a way has them. `tcp` goes to the proxy where there is one. */
export type StepName = 'dns' | 'tcp' | 'proxy' | 'tls' | 'http' | 'websocket';

/** One way to one server. */
export interface Way {
  /** http, https, ws or wss. No secret is sent there: the server is not believed yet. */
  readonly url: URL;
  /** Of the server, or of the proxy. */
  readonly address: string;
  /** On the way; undefined: directly. */
  readonly proxy: ProxyServer | undefined;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
  /** What is asked once there is a connection: `large` is a request of more than two packets. */
  readonly ask: 'answer' | 'large' | 'websocket';
  /** TLS begins with a packet of 300 bytes, not of 1 500: without a key against quantum computers. */
  readonly beginsSmall: boolean;
  readonly stepLimitMs: number;
}

export interface Step {
  readonly step: StepName;
  readonly ms: number;
}

export interface StepFailure extends Step {
  readonly kind: TroubleKind;
  /** Completes a sentence of ours: `no answer in 3 s`. */
  readonly why: string;
  /** Nothing came for as long as the step may take. */
  readonly isSilent: boolean;
  /** The other machine has answered, with a no. */
  readonly isRefused?: true;
}

/** The certificate that a server showed, whether or not it is trusted. */
export interface ShownCertificate {
  readonly issuer: string;
  /** Its chain ends at an authority that browsers trust, not at one of this machine's own. */
  readonly isPublic: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  /** Where it sends on to; absolute or not. */
  readonly location: string | undefined;
  /** Set where a page for people came: its sender, as part of a sentence. */
  readonly pageBy: string | undefined;
  /** By the server's clock, milliseconds since 1970; whole seconds, cut off. */
  readonly serverTimeMs: number | undefined;
  /** By ours, when the request left and when the answer came. */
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

/** How far a way leads. */
export interface Walk {
  /** That were taken. */
  readonly steps: readonly Step[];
  readonly failure: StepFailure | undefined;
  readonly certificate: ShownCertificate | undefined;
  /**
   * Where only the dates of the certificate are wrong it is asked nevertheless: the answer tells whose
   * clock is.
   */
  readonly answer: HttpAnswer | undefined;
}

/** What one resolver says to a question. */
export type ResolverAnswer =
  | { readonly kind: 'answered'; readonly ms: number }
  /** SERVFAIL or REFUSED (RFC 1035 section 4.1.1). */
  | { readonly kind: 'refused'; readonly ms: number }
  | { readonly kind: 'silent' }
  /** It cannot be asked from here: `the network has no way to it`. */
  | { readonly kind: 'unreachable'; readonly why: string };

export interface Probe {
  /**
   * The addresses of a name by the system's own resolver, in its order; of an address, that.
   * @throws Error with a code, or at the limit
   */
  resolve(name: string, limitMs: number): Promise<readonly string[]>;
  /** Never throws: what goes wrong is the answer. */
  walk(way: Way, signal: AbortSignal): Promise<Walk>;
  /** Asks one resolver for the address of a name, over UDP, twice when it is silent. */
  askResolver(server: string, name: string, limitMs: number): Promise<ResolverAnswer>;
}
