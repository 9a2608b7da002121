/** Where a door of the agent listens, as a person writes it. */
import { ipVersion } from '../core/text/ip-version.ts';
import { normalAddress } from '../core/text/normal-address.ts';

const PORT_MAX = 65_535;
/** All addresses of the machine at once: a certificate names only one. */
const WILDCARDS: readonly string[] = ['0.0.0.0', '::', '::ffff:0:0'];

export const NOT_ENDPOINT =
  'must be one address of this machine and a port, as 10.0.0.5:9464 or [fd00::5]:9464';

export interface OwnEndpoint {
  readonly address: string;
  readonly port: number;
}

/** @returns undefined when it is none */
export function ownEndpoint(text: string): OwnEndpoint | undefined {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  const port = text.slice(colon + 1);
  const isBracketed = host.startsWith('[') && host.endsWith(']');
  const address = isBracketed ? host.slice(1, -1) : host;
  const isOne =
    ipVersion(address) === (isBracketed ? 6 : 4) && !WILDCARDS.includes(normalAddress(address));
  return isOne && /^\d{1,5}$/.test(port) && Number(port) <= PORT_MAX
    ? { address, port: Number(port) }
    : undefined;
}

export function isOwnEndpoint(text: string): boolean {
  return ownEndpoint(text) !== undefined;
}
