import type { Fact } from './fact.ts';
import { isProgramThere } from './program-there.ts';

export interface SecurityModules {
  /** Undefined where the kernel has none, or it is off. */
  readonly selinux: 'enforcing' | 'permissive' | undefined;
  /** Whether the rules of k3s are installed (package k3s-selinux). */
  readonly hasK3sPolicy: boolean;
  readonly hasAppArmor: boolean;
  /** Whether the program is there that loads its profiles. */
  readonly hasAppArmorParser: boolean;
}

/** What the package k3s-selinux brings. */
const K3S_POLICY = '/usr/share/selinux/packages/k3s.pp';

export const securityModules: Fact<SecurityModules> = {
  id: 'security-modules',
  read: async (deps) => {
    const { files } = deps;
    const enforce = await files.readText('/sys/fs/selinux/enforce');
    const appArmor = await files.readText('/sys/module/apparmor/parameters/enabled');
    return {
      selinux:
        enforce === undefined ? undefined : enforce.trim() === '1' ? 'enforcing' : 'permissive',
      hasK3sPolicy: (await files.stat(K3S_POLICY)) !== undefined,
      hasAppArmor: appArmor?.trim() === 'Y',
      hasAppArmorParser: await isProgramThere(deps, 'apparmor_parser'),
    };
  },
};
