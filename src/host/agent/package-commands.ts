/** How a person changes the package of the agent, by what has installed it. */
import type { AgentPackageTool } from '../facts/agent-package.ts';

interface PackageCommands {
  readonly upgrade: string;
  readonly downgrade: string;
  /** Settings go as well, where packages distinguish that. */
  readonly remove: string;
}

export const PACKAGE_COMMANDS: Readonly<Record<AgentPackageTool, PackageCommands>> = {
  'apt-get': {
    upgrade:
      'sudo apt-get install --only-upgrade pipeops-agent (from a file: sudo apt-get install ./FILE.deb)',
    downgrade: 'sudo apt-get install --allow-downgrades pipeops-agent=VERSION',
    remove: 'sudo apt-get purge pipeops-agent',
  },
  dnf: {
    upgrade: 'sudo dnf upgrade pipeops-agent',
    downgrade: 'sudo dnf downgrade pipeops-agent',
    remove: 'sudo dnf remove pipeops-agent',
  },
  zypper: {
    upgrade: 'sudo zypper update pipeops-agent',
    downgrade: 'sudo zypper install --oldpackage pipeops-agent=VERSION',
    remove: 'sudo zypper remove pipeops-agent',
  },
  'rpm-ostree': {
    upgrade: 'sudo rpm-ostree upgrade, and restart the machine',
    downgrade: 'sudo rpm-ostree rollback, and restart the machine',
    remove: 'sudo rpm-ostree uninstall pipeops-agent, and restart the machine',
  },
  'transactional-update': {
    upgrade: 'sudo transactional-update pkg update pipeops-agent, and restart the machine',
    downgrade: 'sudo transactional-update rollback last, and restart the machine',
    remove: 'sudo transactional-update pkg remove pipeops-agent, and restart the machine',
  },
};
