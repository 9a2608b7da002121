import { runsSystemd } from '../facts/init-system.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const systemd: Check = {
  id: 'systemd',
  title: 'systemd',
  severity: 'blocks',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'The agent and k3s are services of systemd.',
  remedy: 'Use a machine with systemd. Inside a container there usually is none.',
  needs: [runsSystemd],
  run: async (facts) =>
    (await facts(runsSystemd))
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: 'This machine does not run systemd',
          hint: 'Use a machine with systemd: Debian 12, Ubuntu 22.04, RHEL 9 or newer',
        },
};
