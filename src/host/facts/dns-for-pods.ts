import type { Fact } from './fact.ts';
import { k3sSettings } from './k3s-settings.ts';
import { type ResolvConf, readResolvConf, resolvConfs } from './resolv-conf.ts';

export interface DnsForPods {
  /** Undefined: k3s makes one up, with the resolver 8.8.8.8. */
  readonly file: ResolvConf | undefined;
  /** Somebody has told k3s to take this one. */
  readonly isChosen: boolean;
}

/** The resolv.conf that pods get from k3s (docs.k3s.io, "k3s server", --resolv-conf). */
export const dnsForPods: Fact<DnsForPods> = {
  id: 'dns-for-pods',
  read: async (deps, facts) => {
    const chosen = (await facts(k3sSettings))['resolv-conf'];
    return typeof chosen === 'string'
      ? { file: await readResolvConf(deps.files, chosen), isChosen: true }
      : { file: (await facts(resolvConfs)).pods, isChosen: false };
  },
};
