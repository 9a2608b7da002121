import { K3S_DATA_DIRECTORY, K3S_EXECUTABLE, K3S_UNITS } from '../../core/k3s-places.ts';
import type { Facts } from '../facts/fact.ts';
import { packageTool } from '../facts/package-tool.ts';
import { securityModules } from '../facts/security-modules.ts';
import { selinuxLabels } from '../facts/selinux-labels.ts';
import { subject } from '../facts/subject.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const selinuxPolicy: Check = {
  id: 'selinux',
  title: 'SELinux',
  severity: 'warns',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'SELinux is enforcing and does not know k3s: containers are denied files and sockets that they need.',
  remedy: `Before anything is changed, \`install\` and \`join\` have dnf or zypper look whether the package can be had, and
are refused where it cannot. To go without it, set SELinux to permissive, or say
\`PIPEOPS_IGNORE_CHECKS=selinux\`: then k3s is installed without its rules. The installer of k3s installs the package \`k3s-selinux\` from rpm.rancher.io, and \`uninstall\` takes it away.
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

/** What the program of k3s becomes when it is started with the right label. */
const RUNS_AS = 'container_runtime_t';

export const selinuxLabelled: Check = {
  id: 'selinux-labels',
  title: 'Labels of SELinux',
  severity: 'warns',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'SELinux decides by labels: with others than its rules for k3s expect, containers are denied files and sockets.',
  remedy: `The labels of files are set anew with \`sudo restorecon -R -v ${K3S_EXECUTABLE} ${K3S_DATA_DIRECTORY}\`, and
k3s takes its own at its next start. They are wrong where k3s was there before the rules, or was copied from elsewhere.`,
  needs: [securityModules, selinuxLabels, subject],
  run: async (facts) => {
    const { selinux, hasK3sPolicy } = await facts(securityModules);
    if (selinux !== 'enforcing' || !hasK3sPolicy) {
      return undefined;
    }
    const labels = await facts(selinuxLabels);
    if (labels === undefined) {
      return { notChecked: 'matchpathcon is not there (libselinux-utils)' };
    }
    const { wrong, runsAs } = labels;
    const restart = `sudo systemctl restart ${K3S_UNITS[(await facts(subject)).k3sRole]}`;
    if (wrong.length > 0) {
      const told = wrong.map(({ path, is, should }) => `${path} is ${is}, not ${should}`);
      return {
        code: 'CHECK_FAILED',
        message: `Labels of SELinux are wrong: ${told.join('; ')}`,
        hint: 'Set them anew, and restart k3s',
        fix: `sudo restorecon -R -v ${wrong.map(({ path }) => path).join(' ')}\n${restart}`,
      };
    }
    return runsAs === undefined || runsAs === RUNS_AS
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `k3s runs as ${runsAs}, not as ${RUNS_AS}: it was started before its rules were there`,
          hint: 'Restart it',
          fix: restart,
        };
  },
};

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
