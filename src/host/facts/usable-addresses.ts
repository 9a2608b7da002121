import { addresses } from './addresses.ts';
import type { Fact } from './fact.ts';

/** The addresses by which others reach this machine over routers: without those of a link alone. */
export const usableAddresses: Fact<readonly string[]> = {
  id: 'usable-addresses',
  read: async (_, facts) => (await facts(addresses)).filter((address) => !isLinkLocal(address)),
};

/** RFC 3927 section 2.1, RFC 4291 section 2.5.6. */
function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab])/i.test(address);
}
