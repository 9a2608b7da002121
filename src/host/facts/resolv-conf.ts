import type { Files } from '../../core/ports.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import type { Fact } from './fact.ts';

const SYSTEM_FILE = '/etc/resolv.conf';
/** Where systemd-resolved names the resolvers behind its stub (systemd-resolved.service(8)). */
const RESOLVED_FILE = '/run/systemd/resolve/resolv.conf';

export interface ResolvConf {
  readonly path: string;
  readonly nameservers: readonly string[];
  /** Domains that are tried behind a name. */
  readonly search: readonly string[];
}

export interface ResolvConfs {
  /** What the programs of this machine use. */
  readonly system: ResolvConf;
  /** What k3s hands to the pods when it is not told another; undefined: it makes one up, of 8.8.8.8. */
  readonly pods: ResolvConf | undefined;
}

/** resolv.conf(5), and which of them k3s takes (k3s, "pkg/agent/config", locateOrGenerateResolvConf). */
export const resolvConfs: Fact<ResolvConfs> = {
  id: 'resolv-conf',
  read: async ({ files }) => {
    const system = await readResolvConf(files, SYSTEM_FILE);
    const resolved = await readResolvConf(files, RESOLVED_FILE);
    return { system, pods: [system, resolved].find(isGoodForPods) };
  },
};

export async function readResolvConf(files: Files, path: string): Promise<ResolvConf> {
  const lines = ((await files.readText(path)) ?? '').split('\n').map((line) => line.trim());
  const words = (name: string) =>
    lines.map((line) => line.split(/\s+/)).filter(([first]) => first === name);
  return {
    path,
    nameservers: words('nameserver').flatMap(([, address]) => address ?? []),
    // The last line counts.
    search: (words('search').at(-1) ?? words('domain').at(-1) ?? []).slice(1),
  };
}

function isGoodForPods({ nameservers }: ResolvConf): boolean {
  return nameservers.length > 0 && nameservers.every((address) => !isLocal(address));
}

/** Whether an address means something else in a pod: its own loopback, or a link that it does not have. */
export function isLocal(address: string): boolean {
  switch (ipVersion(address)) {
    case 4:
      // Clouds have their resolver beside the metadata, and k3s takes that one.
      return /^(0|127|169\.254|22[4-9]|23\d|255)\./.test(address) && address !== '169.254.169.254';
    case 6:
      return /^(::1?$|fe[89ab]|ff)/i.test(address);
    default:
      return true;
  }
}
