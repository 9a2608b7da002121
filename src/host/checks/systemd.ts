import { container } from '../facts/container.ts';
import { runsSystemd } from '../facts/init-system.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';

export const systemd: Check = {
  id: 'systemd',
  title: 'systemd',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'The agent and k3s are services of systemd.',
  remedy: `Use a machine with systemd. Inside a container there usually is none: install on the machine that
runs it. In WSL add \`[boot]\` and \`systemd=true\` to \`/etc/wsl.conf\`, then \`wsl --shutdown\`.`,
  needs: [runsSystemd, container],
  run: async (facts) =>
    (await facts(runsSystemd))
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: 'This machine does not run systemd',
          ...adviceFor(await facts(container)),
        },
};

function adviceFor(container: string | undefined): Pick<Finding, 'hint' | 'fix'> {
  switch (container) {
    case undefined:
      return { hint: 'Use a machine with systemd: Debian 12, Ubuntu 22.04, RHEL 9 or newer' };
    case 'wsl':
      return {
        hint: 'Let WSL start it; then, on Windows: wsl --shutdown',
        fix: "printf '[boot]\\nsystemd=true\\n' | sudo tee -a /etc/wsl.conf",
      };
    default:
      return {
        hint: `Install outside of the container (${container}), on the machine that runs it`,
      };
  }
}
