import type { Facts } from '../facts/fact.ts';
import { packageTool } from '../facts/package-tool.ts';
import { securityModules } from '../facts/security-modules.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const selinuxPolicy: Check = {
  id: 'selinux',
  title: 'SELinux',
  severity: 'warns',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'SELinux is enforcing and does not know k3s: containers are denied files and sockets that they need.',
  remedy: `The installer of k3s installs the package \`k3s-selinux\` from rpm.rancher.io, and \`uninstall\` takes it away.
Where that is out of reach, as with \`--bundle\`, get it by hand (github.com/k3s-io/k3s-selinux/releases), install it, and restart k3s. What is denied
is told by \`sudo ausearch -m avc -ts recent\`.`,
  needs: [securityModules, packageTool],
  run: async (facts) => {
    const { selinux, hasK3sPolicy } = await facts(securityModules);
    return selinux !== 'enforcing' || hasK3sPolicy
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: 'SELinux is enforcing, and the rules of k3s are not installed',
          hint: 'Install them, and restart k3s where it runs',
          fix: await installCommand(facts),
        };
  },
};

/** On systems whose /usr is an image it counts from the next start on. */
const INSTALL_COMMANDS = {
  'rpm-ostree': 'sudo rpm-ostree install -y k3s-selinux\nsudo systemctl reboot',
  'transactional-update':
    'sudo transactional-update --non-interactive pkg install k3s-selinux\nsudo systemctl reboot',
  zypper: 'sudo zypper --non-interactive install k3s-selinux',
  dnf: 'sudo dnf install -y k3s-selinux',
} as const;

async function installCommand(facts: Facts): Promise<string> {
  return INSTALL_COMMANDS[await facts(packageTool)];
}

export const appArmorParser: Check = {
  id: 'apparmor',
  title: 'AppArmor',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'AppArmor is on, and nothing can load a profile: containers run without one, or do not start.',
  remedy:
    'Install what loads the profiles: `apparmor` on Debian and Ubuntu, `apparmor-parser` on SUSE.',
  needs: [securityModules],
  run: async (facts) => {
    const { hasAppArmor, hasAppArmorParser } = await facts(securityModules);
    return !hasAppArmor || hasAppArmorParser
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: 'AppArmor is on, and apparmor_parser is missing',
          hint: 'Install it with the package manager: apparmor, or on SUSE apparmor-parser',
        };
  },
};
