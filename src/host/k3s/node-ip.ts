import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import { normalAddress } from '../../core/text/normal-address.ts';
import { type K3sConfig, readK3sConfig, writeK3sConfig } from './config.ts';

/** The addresses of this machine now. */
export interface PresentAddresses {
  readonly own: readonly string[];
  /** By which it goes out. */
  readonly outward: readonly string[];
}

/**
 * Puts the present address of the same family for each that is gone into our file for k3s. One without a successor
 * is left out; the last one never.
 * @returns those that k3s is told now
 * @throws AgentError FILE_ACCESS, DISK_FULL
 */
export async function rewriteNodeIp(
  deps: { readonly files: Files; readonly places: Places },
  { own, outward }: PresentAddresses,
): Promise<readonly string[]> {
  // Our own file: what it says of other flags is written again as it is.
  const config = ((await readK3sConfig(deps)) ?? {}) as K3sConfig;
  const before = [config['node-ip'] ?? []].flat().flatMap((text) => String(text).split(','));
  const next = before.flatMap((address) =>
    own.includes(normalAddress(address))
      ? [address]
      : outward.filter((each) => ipVersion(each) === ipVersion(address)),
  );
  const told = [...new Set(next)];
  if (told.length === 0) {
    return before;
  }
  await writeK3sConfig(deps, { ...config, 'node-ip': told.join(',') });
  return told;
}
