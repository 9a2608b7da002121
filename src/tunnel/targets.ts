import type { TunnelHeader } from '../protocol/session/tunnel-header.ts';

export type TunnelTarget =
  /** `host` is an IP address: the machine has no DNS of the cluster. */
  | { readonly kind: 'target'; readonly host: string; readonly port: number }
  /** `reason` is a sentence for the log. The peer is told nothing. */
  | { readonly kind: 'refused'; readonly reason: string };

/** What the tunnel may reach, and where it is now (routes/service-locator.ts decides). */
export interface TunnelTargets {
  /** The header's names must be valid (RFC 1123). Expected trouble is returned as a refusal. */
  resolve(header: TunnelHeader): Promise<TunnelTarget>;
}

/** A label: the names of Services and namespaces (RFC 1123 section 2.1, kubernetes.io "Names"). */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a text can name a Service or a namespace. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** @returns why the names of a header name no Service; undefined when they may */
export function invalidName(header: TunnelHeader): string | undefined {
  const [name] = (['service', 'namespace'] as const).filter((each) => !isLabel(header[each]));
  return name === undefined ? undefined : `the ${name} is no name by RFC 1123`;
}
